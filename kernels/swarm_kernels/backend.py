"""The operations of a cache: in plain PyTorch, in Triton, or in whichever of them the tensors' device asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .errors import BadTensor, Unsupported

__all__ = ["RUN", "Backend", "BackendName", "backend_of", "for_device"]

RUN = 1024
"""Keys unpacked at a time in plain PyTorch: bounds what attention needs beside the store."""

BackendName = Literal["auto", "torch", "triton"]


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
    """The operations of a backend; "auto" asks the tensors' device at every call.

    Raises Unsupported where Triton is asked for and not installed.
    """
    if name == "auto":
        return Backend(
            quantize=partial(_dispatch, "quantize"),
            score=partial(_dispatch, "score"),
            decode=partial(_dispatch, "decode"),
            attend=partial(_dispatch, "attend"),
            merge=partial(_dispatch, "merge"),
            splits=_splits,
        )
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


def for_device(device: torch.device) -> Backend:
    """What "auto" computes with: Triton's kernels on CUDA, plain PyTorch anywhere else."""
    return backend_of("triton" if device.type == "cuda" else "torch")


def _dispatch(operation: str, *arguments: Any) -> Any:
    """Raises BadTensor for tensors of several devices: no side of them would be the right one."""
    devices = {argument.device for argument in arguments if isinstance(argument, Tensor)}
    if len(devices) > 1:
        raise BadTensor(f"{operation}: tensors on {' and '.join(sorted(map(str, devices)))}; move them to one device")
    return getattr(for_device(devices.pop()), operation)(*arguments)


def _splits(rows: int, n: int, device: torch.device) -> int:
    return for_device(device).splits(rows, n, device)
