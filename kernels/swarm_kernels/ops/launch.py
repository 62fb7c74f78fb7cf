"""What the launches of all kernels share: what they refuse, and how many runs a row of keys is cut into."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from ..errors import BadTensor

__all__ = ["check", "interpreted", "power_of_two", "splits_for"]

LOG2E = 1.4426950408889634


def interpreted(kernel: object) -> bool:
    """Whether Triton's interpreter runs `kernel`, which it decides when a kernel's module is imported."""
    return not isinstance(kernel, triton.runtime.JITFunction)


def check(kernel: object, **tensors: Tensor | None) -> None:
    """Raises BadTensor where a tensor is not on the device of the first, or its last dimension is not contiguous.

    Compiled kernels take tensors of a GPU, interpreted ones any.
    """
    device = None
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        device = device or tensor.device
        if tensor.device != device:
            raise BadTensor(f"{name} is on {tensor.device}, the other tensors on {device}; move it there")
        if tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
            raise BadTensor(f"the last dimension of {name} is not contiguous; call .contiguous() on it")
    if device is not None and device.type != "cuda" and not interpreted(kernel):
        raise BadTensor(f"a Triton kernel was given tensors on {device}; use the reference, or move them to a GPU")


def power_of_two(n: int, least: int = 16) -> int:
    """The smallest power of two that is at least `n` and `least`; a matrix product takes no side under 16."""
    return max(least, 1 << (n - 1).bit_length())


def splits_for(rows: int, n: int, device: torch.device) -> int:
    """Into how many runs the keys of `rows` independent rows of at most n keys are best cut.

    Enough for four programs a multiprocessor, none shorter than 512 keys, at most 128.
    """
    if device.type != "cuda":
        return 1
    programs = 4 * torch.cuda.get_device_properties(device).multi_processor_count
    return max(1, min(128, -(-programs // rows), n // 512))
