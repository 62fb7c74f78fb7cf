"""Packing of small integers in bit planes: exactly d·bits/8 bytes for d values of 1 to 8 bits.

A value is cut into planes of 4, 2 and 1 bits, low bits first: 4 → 4, 3 → 2 + 1, 2 → 2, 5 → 4 + 1, 6 → 4 + 2,
7 → 4 + 2 + 1, 8 → 4 + 4. In a row of bytes the planes stand one after the other in that order. In a plane of w bits,
byte j holds dimensions j, j + d·w/8, j + 2·d·w/8, …, the first in its lowest w bits. So each shift of a run of bytes
gives a run of contiguous dimensions: in a plane of nibbles the low halves are dimensions 0 to d/2 - 1, the high halves
d/2 to d - 1.

    3 bits, d = 64: bytes 0-15 hold bits 0 and 1 (byte j: dimensions j, j+16, j+32, j+48),
                    bytes 16-23 hold bit 2       (byte j: dimensions j, j+8, …, j+56).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import Unsupported

__all__ = ["pack", "packed_bytes", "plane_widths", "unpack"]

_WIDTHS = {1: (1,), 2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (4, 4)}


def plane_widths(bits: int) -> tuple[int, ...]:
    """The widths of the planes of a value of `bits` bits, in the order in which they stand in a row."""
    return _WIDTHS[bits]


def packed_bytes(d: int, bits: int) -> int:
    """The bytes of a row of d values. Raises Unsupported unless d is a multiple of 8: planes are whole bytes."""
    if d <= 0 or d % 8:
        raise Unsupported(f"a head size of {d} cannot be packed; use one that is a multiple of 8, or no quantisation")
    return d * bits // 8


def pack(codes: Tensor, bits: int) -> Tensor:
    """Integers below 2^bits, uint8 [..., d] → uint8 [..., d·bits/8]."""
    d = codes.shape[-1]
    packed_bytes(d, bits)
    planes, shift = [], 0
    for width in plane_widths(bits):
        parts = ((codes >> shift) & (2**width - 1)).unflatten(-1, (8 // width, d * width // 8))
        lanes = torch.arange(0, 8, width, dtype=torch.uint8, device=codes.device)[:, None]
        planes.append((parts << lanes).sum(-2, dtype=torch.uint8))
        shift += width
    return torch.cat(planes, -1)


def unpack(packed: Tensor, d: int, bits: int) -> Tensor:
    """The inverse of pack: uint8 [..., d·bits/8] → uint8 [..., d]."""
    codes = torch.zeros(*packed.shape[:-1], d, dtype=torch.uint8, device=packed.device)
    start, shift = 0, 0
    for width in plane_widths(bits):
        size = d * width // 8
        lanes = torch.arange(0, 8, width, dtype=torch.uint8, device=packed.device)[:, None]
        plane = (packed[..., None, start : start + size] >> lanes) & (2**width - 1)
        codes |= plane.flatten(-2) << shift
        start += size
        shift += width
    return codes
