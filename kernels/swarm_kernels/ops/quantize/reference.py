"""Quantise and pack, and unpack, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ...planes import pack, unpack

__all__ = ["dequantize", "quantize"]


def quantize(x: Tensor, rotation: Tensor, levels: Tensor, bits: int, unbiased: bool) -> tuple[Tensor, Tensor]:
    """Rotate unit vectors, round each coordinate to the nearest level, pack.

    x          floating [..., d]
    rotation   float32 [d, d], y = x @ rotation.T
    levels     float32 [2^bits], ascending; a coordinate on the midpoint of two levels takes the lower
    unbiased   scale by |x| / <y, levels[code]> instead of |x|
    → codes    uint8 [..., d·bits/8], rows of bit planes (planes.py)
      norms    float16 [...]; 0 for a zero vector, not finite where x is not or where the scale overflows
    """
    x = x.float()
    norm = torch.linalg.vector_norm(x, dim=-1)
    y = (x / norm.clamp_min(torch.finfo(torch.float32).tiny)[..., None]) @ rotation.T
    codes = torch.bucketize(y, (levels[1:] + levels[:-1]) / 2)
    if unbiased:
        agreement = (y * levels[codes]).sum(-1)
        norm = torch.where(norm > 0, norm / agreement, norm)  # positive: a coordinate and its level have one sign
    return pack(codes.to(torch.uint8), bits), norm.to(torch.float16)


def dequantize(codes: Tensor, norms: Tensor, levels: Tensor, bits: int) -> Tensor:
    """Unpack, still rotated: norms · levels[codes], float32 [..., d]. Arguments as `quantize` gives them."""
    d = codes.shape[-1] * 8 // bits
    return levels[unpack(codes, d, bits).int()] * norms.float()[..., None]
