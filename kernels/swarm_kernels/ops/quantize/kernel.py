"""Rotate, round to a codebook and pack in Triton: vectors are read once, codes and norms written once."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...errors import BadTensor, Unsupported
from ...planes import packed_bytes
from ..launch import check, power_of_two

__all__ = ["quantize", "quantize_kernel", "quantize_meta"]


@triton.jit
def quantize_kernel(
    x,
    rotation,
    levels,
    codes,
    norms,
    rows,
    s_x,
    D: tl.constexpr,
    BITS: tl.constexpr,
    UNBIASED: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_E: tl.constexpr,
):
    """BLOCK_R vectors. The rotated vector is made an eighth at a time: a byte of a plane joins codes of equal places
    in several eighths, so packing needs no exchange between threads. Loops stay loops, to spare registers."""
    WIDTH: tl.constexpr = 2 if BITS == 3 else BITS
    PARTS: tl.constexpr = 8 // WIDTH
    i_r = tl.program_id(0).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    i_k = tl.arange(0, BLOCK_K)
    i_e = tl.arange(0, BLOCK_E)
    m_r = (i_r < rows)[:, None]
    m_e = (i_e < D // 8)[None, :]
    p_x = x + i_r[:, None] * s_x + i_k[None, :]
    b_norm = tl.zeros([BLOCK_R], tl.float32)
    for start in range(0, D, BLOCK_K):
        b_x = tl.load(p_x + start, mask=m_r & (start + i_k < D)[None, :], other=0.0).to(tl.float32)
        b_norm += tl.sum(b_x * b_x, 1)
    b_norm = tl.sqrt(b_norm)
    b_inverse = (1 / tl.maximum(b_norm, 1.1754943508222875e-38))[:, None]
    b_agree = tl.zeros([BLOCK_R], tl.float32)
    b_high = tl.zeros([BLOCK_R, BLOCK_E], tl.int32)
    p_codes = codes + i_r[:, None] * (D * BITS // 8) + i_e[None, :]
    for i_byte in range(WIDTH):
        b_byte = tl.zeros([BLOCK_R, BLOCK_E], tl.int32)
        for i_part in range(PARTS):
            i_eighth = i_part * WIDTH + i_byte
            b_y = tl.zeros([BLOCK_R, BLOCK_E], tl.float32)
            for start in range(0, D, BLOCK_K):
                m_k = start + i_k < D
                b_x = tl.load(p_x + start, mask=m_r & m_k[None, :], other=0.0).to(tl.float32) * b_inverse
                p_rotation = rotation + (i_eighth * (D // 8) + i_e)[None, :] * D + (start + i_k)[:, None]
                b_rotation = tl.load(p_rotation, mask=m_k[:, None] & m_e, other=0.0)
                b_y = tl.dot(b_x, b_rotation, b_y, input_precision="tf32x3")
            b_code = tl.zeros([BLOCK_R, BLOCK_E], tl.int32)
            for i_level in range(2**BITS - 1):
                middle = (tl.load(levels + i_level) + tl.load(levels + i_level + 1)) / 2
                b_code += (b_y > middle).to(tl.int32)
            if UNBIASED:
                b_agree += tl.sum(tl.where(m_e, b_y * tl.load(levels + b_code), 0.0), 1)
            b_byte |= (b_code & (2**WIDTH - 1)) << (WIDTH * i_part)
            if BITS == 3:
                b_high |= (b_code >> 2) << i_eighth
        tl.store(p_codes + i_byte * (D // 8), b_byte.to(tl.uint8), mask=m_r & m_e)
    if BITS == 3:
        tl.store(p_codes + D // 4, b_high.to(tl.uint8), mask=m_r & m_e)
    if UNBIASED:
        b_norm = tl.where(b_norm > 0, b_norm / tl.where(b_norm > 0, b_agree, 1.0), b_norm)
    tl.store(norms + i_r, b_norm.to(tl.float16), mask=i_r < rows)


def quantize_meta(d: int) -> dict[str, Any]:
    """Sizes of blocks and launch options for a head size."""
    return {"BLOCK_R": 32 if d <= 128 else 16, "BLOCK_K": 32, "BLOCK_E": power_of_two(d // 8), "num_warps": 4}


def quantize(x: Tensor, rotation: Tensor, levels: Tensor, bits: int, unbiased: bool) -> tuple[Tensor, Tensor]:
    """As `reference.quantize`, for 2, 3 and 4 bits; a coordinate within rounding of a midpoint may go the other way.

    Raises Unsupported for other widths and head sizes, BadTensor for tensors that do not fit together.
    """
    *shape, d = x.shape
    if bits not in (2, 3, 4):
        raise Unsupported(f"the kernel packs 2, 3 and 4 bits, not {bits}; use the reference")
    if rotation.shape != (d, d) or levels.numel() != 2**bits:
        raise BadTensor(
            f"a rotation {tuple(rotation.shape)} and {levels.numel()} levels for vectors of {d} at {bits} bits"
        )
    size = packed_bytes(d, bits)
    x, rotation = x.reshape(-1, d), rotation.contiguous()
    check(quantize_kernel, x=x, rotation=rotation, levels=levels)
    rows = x.shape[0]
    codes = x.new_empty(rows, size, dtype=torch.uint8)
    norms = x.new_empty(rows, dtype=torch.float16)
    if rows:
        meta = quantize_meta(d)
        quantize_kernel[(triton.cdiv(rows, meta["BLOCK_R"]),)](
            x, rotation, levels, codes, norms, rows, x.stride(0), D=d, BITS=bits, UNBIASED=unbiased, **meta
        )
    return codes.reshape(*shape, size), norms.reshape(shape)
