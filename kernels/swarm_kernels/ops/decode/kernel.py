"""Split-K attention over packed keys and values in Triton: each stored byte is read once for all rows of queries.

A program takes one KV head with all its rows and one run of keys. It never writes an unpacked key: a byte becomes
float16 levels in registers, which feed the tensor cores.

Levels come without a table. Two fields of a byte are masked out, read as subnormal float16 (n · 2⁻²⁴ is the bit
pattern n), scaled to w in (-1, 1), and an odd polynomial in w gives the level: exact for 2 and 3 bits, within a
thousandth of the greatest level for 4 (the rounding to float16 is half of that). A gather from a table of 16 levels
costs two address computations and a load a value.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ...errors import BadTensor, Unsupported
from ..launch import LOG2E, check, power_of_two

__all__ = ["decode", "merge", "merge_kernel", "merge_meta", "polynomial", "split_kernel", "split_meta"]


@triton.jit
def _fields(p_rows, i_c, m, D: tl.constexpr, BITS: tl.constexpr):
    """Rows of codes → two tiles [tokens, BLOCK_P] of bytes with two codes each, in bits 0 to 3 and 4 to 7.

    The first holds dimensions 0 … D/4 - 1 and D/2 …, the second D/4 … and 3D/4 ….
    """
    b_even = tl.load(p_rows + i_c[None, :], mask=m, other=0).to(tl.int16)
    if BITS == 4:
        b_odd = tl.load(p_rows + D // 4 + i_c[None, :], mask=m, other=0).to(tl.int16)
    else:
        b_odd = (b_even >> 2) & 0x33
        b_even &= 0x33
        if BITS == 3:
            b_high = tl.load(p_rows + D // 4 + (i_c % (D // 8))[None, :], mask=m, other=0).to(tl.int16)
            b_high = b_high >> (i_c // (D // 8)).to(tl.int16)[None, :]
            b_even |= (b_high & 0x11) << 2
            b_odd |= b_high & 0x44
    return b_even, b_odd


@triton.jit
def _level(b_fields, UPPER: tl.constexpr, BITS: tl.constexpr, c1, c3, c5, c7):
    """The levels of the lower or upper codes of bytes, float16, in parts of the greatest level."""
    SHIFT: tl.constexpr = 4 if UPPER else 0
    STEP: tl.constexpr = 2.0 ** (1 - BITS)
    b_w = (b_fields & ((2**BITS - 1) << SHIFT)).to(tl.float16, bitcast=True) * 32768.0
    b_w = b_w * (STEP * 2.0 ** (9 - SHIFT)) - (1 - STEP / 2)
    b_2 = b_w * b_w
    if BITS > 2:
        c3 += (c7 * b_2 + c5) * b_2
    return b_w * (c3 * b_2 + c1)


@triton.jit
def split_kernel(
    q,
    k_codes,
    k_norms,
    k_terms,
    v_codes,
    v_norms,
    v_terms,
    bias,
    lengths,
    outs,
    lses,
    rows,
    n,
    q_scale,
    v_scale,
    s_qb,
    s_qh,
    s_qr,
    s_kb,
    s_kh,
    s_kt,
    s_knb,
    s_knh,
    s_vb,
    s_vh,
    s_vt,
    s_vnb,
    s_vnh,
    s_bb,
    s_bh,
    s_br,
    s_bt,
    HEADS: tl.constexpr,
    D: tl.constexpr,
    K_BITS: tl.constexpr,
    V_BITS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_P: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Normalised output and base-2 log-sum-exp of a run of the keys of a (batch, KV head), for BLOCK_R rows."""
    i_split = tl.program_id(0)
    i_bh = tl.program_id(1)
    i_b = (i_bh // HEADS).to(tl.int64)
    i_h = (i_bh % HEADS).to(tl.int64)
    length = tl.minimum(tl.load(lengths + i_bh), n)
    share = tl.cdiv(tl.cdiv(length, tl.num_programs(0)), BLOCK_T) * BLOCK_T
    first = i_split * share
    last = tl.minimum(first + share, length)

    i_r = tl.program_id(2) * BLOCK_R + tl.arange(0, BLOCK_R)
    i_c = tl.arange(0, BLOCK_P)
    m_r = i_r < rows
    m_c = (i_c < D // 4)[None, :]
    p_q = q + i_b * s_qb + i_h * s_qh + i_r[:, None] * s_qr + i_c[None, :]
    b_q0 = tl.load(p_q, mask=m_r[:, None] & m_c, other=0.0).to(tl.float32)
    b_q1 = tl.load(p_q + D // 4, mask=m_r[:, None] & m_c, other=0.0).to(tl.float32)
    b_q2 = tl.load(p_q + D // 2, mask=m_r[:, None] & m_c, other=0.0).to(tl.float32)
    b_q3 = tl.load(p_q + D // 4 * 3, mask=m_r[:, None] & m_c, other=0.0).to(tl.float32)
    # Queries in parts of their greatest coordinate: no query is too long or too short for float16.
    b_amp = tl.max(tl.maximum(tl.maximum(tl.abs(b_q0), tl.abs(b_q1)), tl.maximum(tl.abs(b_q2), tl.abs(b_q3))), 1)
    b_inv = 1 / tl.maximum(b_amp, 1e-30)[:, None]
    b_q0 = (b_q0 * b_inv).to(tl.float16)
    b_q1 = (b_q1 * b_inv).to(tl.float16)
    b_q2 = (b_q2 * b_inv).to(tl.float16)
    b_q3 = (b_q3 * b_inv).to(tl.float16)
    b_amp *= q_scale
    k1 = tl.load(k_terms + 0)
    k3 = tl.load(k_terms + 1)
    k5 = tl.load(k_terms + 2)
    k7 = tl.load(k_terms + 3)
    v1 = tl.load(v_terms + 0)
    v3 = tl.load(v_terms + 1)
    v5 = tl.load(v_terms + 2)
    v7 = tl.load(v_terms + 3)

    b_max = tl.full([BLOCK_R], float("-inf"), tl.float32)
    b_sum = tl.zeros([BLOCK_R], tl.float32)
    b_o0 = tl.zeros([BLOCK_R, BLOCK_P], tl.float32)
    b_o1 = tl.zeros([BLOCK_R, BLOCK_P], tl.float32)
    b_o2 = tl.zeros([BLOCK_R, BLOCK_P], tl.float32)
    b_o3 = tl.zeros([BLOCK_R, BLOCK_P], tl.float32)
    p_k = k_codes + i_b * s_kb + i_h * s_kh
    p_v = v_codes + i_b * s_vb + i_h * s_vh
    p_kn = k_norms + i_b * s_knb + i_h * s_knh
    p_vn = v_norms + i_b * s_vnb + i_h * s_vnh
    for start in tl.range(first, last, BLOCK_T, num_stages=STAGES):
        i_t = start + tl.arange(0, BLOCK_T)
        m_t = i_t < last
        m_tile = m_t[:, None] & m_c
        b_even, b_odd = _fields(p_k + i_t[:, None] * s_kt, i_c, m_tile, D, K_BITS)
        b_s = tl.dot(b_q0, tl.trans(_level(b_even, False, K_BITS, k1, k3, k5, k7)))
        b_s = tl.dot(b_q2, tl.trans(_level(b_even, True, K_BITS, k1, k3, k5, k7)), b_s)
        b_s = tl.dot(b_q1, tl.trans(_level(b_odd, False, K_BITS, k1, k3, k5, k7)), b_s)
        b_s = tl.dot(b_q3, tl.trans(_level(b_odd, True, K_BITS, k1, k3, k5, k7)), b_s)
        b_s *= b_amp[:, None] * tl.load(p_kn + i_t, mask=m_t, other=0.0).to(tl.float32)[None, :]
        if HAS_BIAS:
            p_bias = bias + i_b * s_bb + i_h * s_bh + i_r[:, None] * s_br + i_t[None, :] * s_bt
            b_bias = tl.load(p_bias, mask=m_r[:, None] & m_t[None, :], other=0.0)
            b_s += b_bias * 1.4426950408889634
        b_s = tl.where(m_t[None, :], b_s, float("-inf"))
        b_new = tl.maximum(b_max, tl.max(b_s, 1))
        b_safe = tl.where(b_new == float("-inf"), 0.0, b_new)
        b_shrink = tl.exp2(b_max - b_safe)
        b_p = tl.exp2(b_s - b_safe[:, None])
        b_sum = b_sum * b_shrink + tl.sum(b_p, 1)
        # Weights times norms in parts of the tile's greatest norm: these too stay in the range of float16.
        b_vn = tl.load(p_vn + i_t, mask=m_t, other=0.0).to(tl.float32)
        greatest = tl.max(b_vn, 0)
        b_p = (b_p * (b_vn / tl.maximum(greatest, 1e-30))[None, :]).to(tl.float16)
        b_even, b_odd = _fields(p_v + i_t[:, None] * s_vt, i_c, m_tile, D, V_BITS)
        b_o0 = b_o0 * b_shrink[:, None] + tl.dot(b_p, _level(b_even, False, V_BITS, v1, v3, v5, v7)) * greatest
        b_o2 = b_o2 * b_shrink[:, None] + tl.dot(b_p, _level(b_even, True, V_BITS, v1, v3, v5, v7)) * greatest
        b_o1 = b_o1 * b_shrink[:, None] + tl.dot(b_p, _level(b_odd, False, V_BITS, v1, v3, v5, v7)) * greatest
        b_o3 = b_o3 * b_shrink[:, None] + tl.dot(b_p, _level(b_odd, True, V_BITS, v1, v3, v5, v7)) * greatest
        b_max = b_new

    o_out = (i_split.to(tl.int64) * tl.num_programs(1) + i_bh) * rows + i_r
    b_lse = tl.where(b_sum > 0, (b_max + tl.log2(tl.maximum(b_sum, 1e-30))) * 0.6931471805599453, float("-inf"))
    tl.store(lses + o_out, b_lse, mask=m_r)
    b_over = (v_scale / tl.maximum(b_sum, 1e-30))[:, None]
    p_o = outs + o_out[:, None] * D + i_c[None, :]
    tl.store(p_o, b_o0 * b_over, mask=m_r[:, None] & m_c)
    tl.store(p_o + D // 4, b_o1 * b_over, mask=m_r[:, None] & m_c)
    tl.store(p_o + D // 2, b_o2 * b_over, mask=m_r[:, None] & m_c)
    tl.store(p_o + D // 4 * 3, b_o3 * b_over, mask=m_r[:, None] & m_c)


@triton.jit
def merge_kernel(
    outs, lses, out, lse, rows, SPLITS: tl.constexpr, D: tl.constexpr, BLOCK_S: tl.constexpr, BLOCK_C: tl.constexpr
):
    """One row of partial outputs [SPLITS, rows, D], BLOCK_C of its dimensions, joined by log-sum-exp."""
    i_r = tl.program_id(0).to(tl.int64)
    i_c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    i_s = tl.arange(0, BLOCK_S)
    b_lse = tl.load(lses + i_s * rows + i_r, mask=i_s < SPLITS, other=float("-inf"))
    top = tl.max(b_lse, 0)
    b_w = tl.exp(b_lse - tl.where(top == float("-inf"), 0.0, top))
    total = tl.sum(b_w, 0)
    m = (b_w > 0)[:, None] & (i_c < D)[None, :]
    b_o = tl.load(outs + (i_s[:, None] * rows + i_r) * D + i_c[None, :], mask=m, other=0.0)
    b_out = tl.sum(b_o * b_w[:, None], 0) * (1 / tl.maximum(total, 1e-30))
    tl.store(out + i_r * D + i_c, b_out, mask=i_c < D)
    tl.store(
        lse + i_r,
        tl.where(total > 0, top + tl.log(tl.maximum(total, 1e-30)), float("-inf")),
        mask=tl.program_id(1) == 0,
    )


def split_meta(d: int) -> dict[str, Any]:
    """Sizes of blocks and launch options for a head size. Every 16 rows of queries read the keys once."""
    return {
        "BLOCK_R": 16,
        "BLOCK_T": 128 if 64 < d <= 128 else 64,
        "BLOCK_P": power_of_two(d // 4),
        "STAGES": 3,
        "num_warps": 4,
    }


def merge_meta(splits: int, d: int) -> dict[str, Any]:
    """Sizes of blocks and launch options for a number of partial outputs and a head size."""
    return {"BLOCK_S": power_of_two(splits, 1), "BLOCK_C": min(64, power_of_two(d)), "num_warps": 4}


def decode(
    q: Tensor,
    k_codes: Tensor,
    k_norms: Tensor,
    k_levels: Tensor,
    v_codes: Tensor,
    v_norms: Tensor,
    v_levels: Tensor,
    lengths: Tensor,
    scale: float,
    bias: Tensor | None = None,
    splits: int = 1,
) -> tuple[Tensor, Tensor]:
    """As `reference.decode`, for 2, 3 and 4 bits. `launch.splits_for` gives a good number of splits.

    The first call with a tensor of levels reads it back to the host; later ones with the same tensor do not.
    Raises Unsupported for other widths, BadTensor for tensors that do not fit together.
    """
    batch, heads, rows, d = q.shape
    n = k_norms.shape[-1]
    kbits, vbits = k_levels.numel().bit_length() - 1, v_levels.numel().bit_length() - 1
    k_top, k_terms = _polynomial_of(k_levels)
    v_top, v_terms = _polynomial_of(v_levels)
    if k_codes.shape[:3] != (batch, heads, n) or v_norms.shape != k_norms.shape or lengths.shape != (batch, heads):
        raise BadTensor(
            f"queries {tuple(q.shape)} do not fit keys {tuple(k_norms.shape)}, values {tuple(v_norms.shape)}"
        )
    if (k_codes.shape[-1], v_codes.shape[-1]) != (d * kbits // 8, d * vbits // 8) or d % 8:
        raise BadTensor(
            f"rows of {k_codes.shape[-1]} and {v_codes.shape[-1]} bytes hold no {kbits} and {vbits} bits × {d}"
        )
    lengths = lengths.to(torch.int32).contiguous()
    check(split_kernel, q=q, k_codes=k_codes, k_norms=k_norms, v_codes=v_codes, v_norms=v_norms, lengths=lengths)
    if bias is not None:
        bias = bias.expand(batch, heads, rows, n)
    outs = q.new_empty(splits, batch, heads, rows, d, dtype=torch.float32)
    lses = q.new_empty(splits, batch, heads, rows, dtype=torch.float32)
    meta = split_meta(d)
    split_kernel[splits, batch * heads, triton.cdiv(rows, meta["BLOCK_R"])](
        q,
        k_codes,
        k_norms,
        k_terms,
        v_codes,
        v_norms,
        v_terms,
        bias,
        lengths,
        outs,
        lses,
        rows,
        n,
        scale * LOG2E * k_top,
        v_top,
        *q.stride()[:3],
        *k_codes.stride()[:3],
        *k_norms.stride()[:2],
        *v_codes.stride()[:3],
        *v_norms.stride()[:2],
        *((0, 0, 0, 0) if bias is None else bias.stride()),
        HEADS=heads,
        D=d,
        K_BITS=kbits,
        V_BITS=vbits,
        HAS_BIAS=bias is not None,
        **meta,
    )
    return (outs[0], lses[0]) if splits == 1 else merge(outs, lses)


def merge(outs: Tensor, lses: Tensor) -> tuple[Tensor, Tensor]:
    """As `reference.merge`; what an output holds whose log-sum-exp is -inf is never read."""
    check(merge_kernel, outs=outs, lses=lses)
    splits, *_, d = outs.shape
    outs, lses = outs.contiguous(), lses.contiguous()
    out, lse = torch.empty_like(outs[0]), torch.empty_like(lses[0])
    meta = merge_meta(splits, d)
    grid = (lse.numel(), triton.cdiv(d, meta["BLOCK_C"]))
    merge_kernel[grid](outs, lses, out, lse, lse.numel(), SPLITS=splits, D=d, **meta)
    return out, lse


def polynomial(levels: list[float]) -> tuple[float, float, float, float, float]:
    """The greatest level of an antisymmetric codebook and c₁, c₃, c₅, c₇: level i = top · Σ c_j w^j, w = (2i+1)/2ᵇ - 1.

    Raises Unsupported where a level is more than 0.2 % of the greatest off the polynomial, or b is not 2, 3 or 4.
    """
    count = len(levels)
    if count not in (4, 8, 16):
        raise Unsupported(f"the kernel decodes codebooks of 2, 3 and 4 bits, not of {count} levels; use the reference")
    upper = torch.tensor(levels[count // 2 :], dtype=torch.float64)
    top = float(upper[-1])
    w = torch.arange(1, count, 2, dtype=torch.float64) / count
    terms = w[:, None] ** torch.arange(1, 5 if count == 4 else 9, 2)
    coefficients = torch.linalg.lstsq(terms, upper / top).solution
    off = float((terms @ coefficients - upper / top).abs().max())
    skew = max(abs(low + high) for low, high in zip(levels, reversed(levels), strict=True))
    if off > 2e-3 or skew > 1e-5 * top:
        raise Unsupported("the levels are no codebook of swarm_kernels.codebook; use the reference")
    c1, c3, c5, c7 = (*coefficients.tolist(), 0.0, 0.0)[:4]
    return top, c1, c3, c5, c7


_polynomials: Any = WeakTensorKeyDictionary()
"""Tensor of levels → its version, the greatest level, the coefficients as float16 on its device."""


def _polynomial_of(levels: Tensor) -> tuple[float, Tensor]:
    version, top, terms = _polynomials.get(levels, (None, 0.0, levels))
    if version != levels._version:
        top, *coefficients = polynomial(levels.tolist())
        terms = torch.tensor(coefficients, dtype=torch.float16, device=levels.device)
        _polynomials[levels] = (levels._version, top, terms)
    return top, terms
