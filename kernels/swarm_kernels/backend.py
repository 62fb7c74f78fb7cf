"""The operations of a cache, all in plain PyTorch or all in Triton: chosen once, by the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .errors import Unsupported

__all__ = ["RUN", "Backend", "BackendName", "backend_of"]

RUN = 1024
"""Keys unpacked at a time in plain PyTorch: bounds what attention needs beside the store."""

BackendName = Literal["torch", "triton"]


class Backend(NamedTuple):
    """The operations of ops/, with the arguments that the reference of each has."""

    quantize: Callable[[Tensor, Tensor, Tensor, int, bool], tuple[Tensor, Tensor]]
    score: Callable[[Tensor, Tensor, Tensor], Tensor]
    decode: Callable[..., tuple[Tensor, Tensor]]
    attend: Callable[..., tuple[Tensor, Tensor]]
    merge: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    splits: Callable[[int, int, torch.device], int]
    """(independent rows, keys of each, device) → into how many runs keys are cut."""


def backend_of(name: BackendName) -> Backend:
    """The operations of a backend. Raises Unsupported where Triton is not installed."""
    if name == "torch":
        from .ops import decode, dense, quantize, score

        return Backend(quantize.quantize, score.score, decode.decode, dense.attend, decode.merge, _runs)
    try:
        from .ops.decode import kernel as decode_kernel
        from .ops.dense import kernel as dense_kernel
        from .ops.launch import splits_for
        from .ops.quantize import kernel as quantize_kernel
        from .ops.score import kernel as score_kernel
    except ModuleNotFoundError as error:
        if error.name != "triton":
            raise
        raise Unsupported('Triton is not installed; install it (Linux only), or use the backend "torch"') from None
    return Backend(
        quantize_kernel.quantize,
        score_kernel.score,
        decode_kernel.decode,
        dense_kernel.attend,
        decode_kernel.merge,
        splits_for,
    )


def _runs(rows: int, n: int, device: torch.device) -> int:
    return max(1, -(-n // RUN))
