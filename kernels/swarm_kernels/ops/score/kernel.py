"""TriAttention's score in Triton: each key is read once for all query heads of its KV head."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...errors import BadTensor
from ..launch import check, power_of_two

__all__ = ["score", "score_kernel", "score_meta"]


@triton.jit
def score_kernel(
    keys,
    centre,
    spread,
    out,
    n,
    s_kb,
    s_kh,
    s_kt,
    s_cb,
    HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    D: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_F: tl.constexpr,
):
    """Scores of BLOCK_T keys of a (batch, KV head), for its GROUP query heads, in float32 throughout."""
    i_bh = tl.program_id(1)
    i_b = (i_bh // HEADS).to(tl.int64)
    i_h = (i_bh % HEADS).to(tl.int64)
    i_t = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    i_f = tl.arange(0, BLOCK_F)
    m_t = i_t < n
    m_f = i_f < D // 2
    m = m_t[:, None] & m_f[None, :]
    p_k = keys + i_b * s_kb + i_h * s_kh + i_t[:, None].to(tl.int64) * s_kt + i_f[None, :]
    b_re = tl.load(p_k, mask=m, other=0.0).to(tl.float32)
    b_im = tl.load(p_k + D // 2, mask=m, other=0.0).to(tl.float32)
    b_size = tl.sqrt(b_re * b_re + b_im * b_im)
    for i_g in tl.static_range(GROUP):
        p_c = centre + i_b * s_cb + (i_h * GROUP + i_g) * D + i_f
        b_cre = tl.load(p_c, mask=m_f, other=0.0)
        b_cim = tl.load(p_c + D // 2, mask=m_f, other=0.0)
        b_spread = tl.load(spread + (i_h * GROUP + i_g) * (D // 2) + i_f, mask=m_f, other=0.0)
        b_s = tl.sum(b_re * b_cre[None, :] + b_im * b_cim[None, :] + b_size * b_spread[None, :], 1)
        tl.store(out + (i_bh.to(tl.int64) * GROUP + i_g) * n + i_t, b_s, mask=m_t)


def score_meta(d: int) -> dict[str, Any]:
    """Sizes of blocks and launch options for a head size."""
    return {"BLOCK_T": 64 if d <= 128 else 32, "BLOCK_F": power_of_two(d // 2), "num_warps": 4}


def score(keys: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """As `reference.score`. Raises BadTensor for tensors that do not fit together."""
    batch, heads, n, d = keys.shape
    group = centre.shape[-2]
    if centre.shape[1:] != (heads, group, d) or centre.shape[0] not in (1, batch) or d % 2:
        raise BadTensor(f"centres {tuple(centre.shape)} do not fit keys {tuple(keys.shape)}")
    if spread.shape != (heads, group, d // 2):
        raise BadTensor(f"spreads {tuple(spread.shape)} do not fit keys {tuple(keys.shape)}")
    check(score_kernel, keys=keys, centre=centre, spread=spread)
    centre, spread = centre.float().contiguous(), spread.float().contiguous()
    out = keys.new_empty(batch, heads, group, n, dtype=torch.float32)
    meta = score_meta(d)
    score_kernel[triton.cdiv(n, meta["BLOCK_T"]), batch * heads](
        keys,
        centre,
        spread,
        out,
        n,
        *keys.stride()[:3],
        0 if centre.shape[0] == 1 else heads * group * d,
        HEADS=heads,
        GROUP=group,
        D=d,
        **meta,
    )
    return out
