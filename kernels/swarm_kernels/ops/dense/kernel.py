"""Split-K attention over keys and values that are not packed, in Triton."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...errors import BadTensor, Unsupported
from ..decode.kernel import merge
from ..launch import LOG2E, check, interpreted, power_of_two

__all__ = ["attend", "dense_kernel", "dense_meta"]


@triton.jit
def dense_kernel(
    q,
    k,
    v,
    bias,
    lengths,
    outs,
    lses,
    rows,
    n,
    q_scale,
    s_qb,
    s_qh,
    s_qr,
    s_kb,
    s_kh,
    s_kt,
    s_vb,
    s_vh,
    s_vt,
    s_bb,
    s_bh,
    s_br,
    s_bt,
    HEADS: tl.constexpr,
    D: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    DOT: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Normalised output and log-sum-exp of a run of the keys of a (batch, KV head), for BLOCK_R rows."""
    i_split = tl.program_id(0)
    i_bh = tl.program_id(1)
    i_b = (i_bh // HEADS).to(tl.int64)
    i_h = (i_bh % HEADS).to(tl.int64)
    length = tl.minimum(tl.load(lengths + i_bh), n)
    share = tl.cdiv(tl.cdiv(length, tl.num_programs(0)), BLOCK_T) * BLOCK_T
    first = i_split * share
    last = tl.minimum(first + share, length)

    i_r = tl.program_id(2) * BLOCK_R + tl.arange(0, BLOCK_R)
    i_d = tl.arange(0, BLOCK_D)
    m_r = i_r < rows
    m_d = i_d < D
    p_q = q + i_b * s_qb + i_h * s_qh + i_r[:, None] * s_qr + i_d[None, :]
    b_q = tl.load(p_q, mask=m_r[:, None] & m_d[None, :], other=0.0).to(DOT)
    b_max = tl.full([BLOCK_R], float("-inf"), tl.float32)
    b_sum = tl.zeros([BLOCK_R], tl.float32)
    b_o = tl.zeros([BLOCK_R, BLOCK_D], tl.float32)
    p_k = k + i_b * s_kb + i_h * s_kh + i_d[None, :]
    p_v = v + i_b * s_vb + i_h * s_vh + i_d[None, :]
    for start in tl.range(first, last, BLOCK_T, num_stages=STAGES):
        i_t = start + tl.arange(0, BLOCK_T)
        m_t = i_t < last
        m_tile = m_t[:, None] & m_d[None, :]
        b_k = tl.load(p_k + i_t[:, None] * s_kt, mask=m_tile, other=0.0).to(DOT)
        b_s = tl.dot(b_q, tl.trans(b_k), input_precision="tf32x3") * q_scale
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
        b_v = tl.load(p_v + i_t[:, None] * s_vt, mask=m_tile, other=0.0).to(DOT)
        b_o = tl.dot(b_p.to(DOT), b_v, b_o * b_shrink[:, None], input_precision="tf32x3")
        b_max = b_new

    o_out = (i_split.to(tl.int64) * tl.num_programs(1) + i_bh) * rows + i_r
    b_lse = tl.where(b_sum > 0, (b_max + tl.log2(tl.maximum(b_sum, 1e-30))) * 0.6931471805599453, float("-inf"))
    tl.store(lses + o_out, b_lse, mask=m_r)
    b_o /= tl.maximum(b_sum, 1e-30)[:, None]
    tl.store(outs + o_out[:, None] * D + i_d[None, :], b_o, mask=m_r[:, None] & m_d[None, :])


def dense_meta(d: int, rows: int) -> dict[str, Any]:
    """Sizes of blocks and launch options for a head size and rows of queries a KV head."""
    return {
        "BLOCK_R": min(32, power_of_two(rows)),
        "BLOCK_T": 64 if d <= 128 else 32,
        "BLOCK_D": power_of_two(d),
        "STAGES": 3,
        "num_warps": 4,
    }


def attend(
    q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, scale: float, bias: Tensor | None = None, splits: int = 1
) -> tuple[Tensor, Tensor]:
    """As `reference.attend`, for keys and values of one type of 16 or 32 bits.

    `launch.splits_for` gives a good number of splits. Raises Unsupported for keys of other types, BadTensor for tensors
    that do not fit together.
    """
    batch, heads, rows, d = q.shape
    n = k.shape[-2]
    types = {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16, torch.float32: tl.float32}
    if k.dtype not in types or v.dtype != k.dtype:
        raise Unsupported(f"the kernel takes keys and values of one floating type, not {k.dtype} and {v.dtype}")
    if k.shape != (batch, heads, n, d) or v.shape != k.shape or lengths.shape != (batch, heads):
        raise BadTensor(f"queries {tuple(q.shape)} do not fit keys {tuple(k.shape)}, values {tuple(v.shape)}")
    lengths = lengths.to(torch.int32).contiguous()
    check(dense_kernel, q=q, k=k, v=v, lengths=lengths)
    if bias is not None:
        bias = bias.expand(batch, heads, rows, n)
    outs = q.new_empty(splits, batch, heads, rows, d, dtype=torch.float32)
    lses = q.new_empty(splits, batch, heads, rows, dtype=torch.float32)
    meta = dense_meta(d, rows)
    dense_kernel[splits, batch * heads, triton.cdiv(rows, meta["BLOCK_R"])](
        q,
        k,
        v,
        bias,
        lengths,
        outs,
        lses,
        rows,
        n,
        scale * LOG2E,
        *q.stride()[:3],
        *k.stride()[:3],
        *v.stride()[:3],
        *((0, 0, 0, 0) if bias is None else bias.stride()),
        HEADS=heads,
        D=d,
        HAS_BIAS=bias is not None,
        DOT=tl.float32 if interpreted(dense_kernel) else types[k.dtype],  # the interpreter's products of bfloat16 err
        **meta,
    )
    return (outs[0], lses[0]) if splits == 1 else merge(outs, lses)
