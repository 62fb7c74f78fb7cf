"""Split-K attention over packed keys and values in plain PyTorch, and the merge of partial results."""

from __future__ import annotations

import torch
from torch import Tensor

from ..quantize.reference import dequantize

__all__ = ["decode", "merge"]


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
    """Attention of R rows of queries a KV head over its packed keys; every row sees every valid key.

    q          floating [B, Hkv, R, d], in the rotated space of the keys: q @ rotation_k.T. R is G query heads times
               Tq queries; query head h·G + g at step t is row g·Tq + t of KV head h
    k_codes    uint8 [B, Hkv, N, d·kbits/8] in bit planes (planes.py); k_norms float16 [B, Hkv, N];
    k_levels   float32 [2^kbits]; v_codes, v_norms, v_levels likewise, vbits may differ
    lengths    int32 [B, Hkv]: slots 0 … lengths-1 are valid, what lies beyond may hold anything, NaN included
    scale      multiplies q·k; the logit is scale·norm·<q, levels[code]> + bias
    bias       float32, broadcastable to [B, Hkv, R, N], added to the logits; -inf hides a key
    splits     the keys are cut into so many runs of equal length (the last may be shorter), merged by log-sum-exp
    → out      float32 [B, Hkv, R, d], in the rotated space of the values (@ rotation_v turns it back);
               0 where a row sees no key
      lse      float32 [B, Hkv, R], the natural logarithm of Σ exp(logit); -inf where a row sees no key
    """
    n = k_norms.shape[-1]
    kbits, vbits = k_levels.numel().bit_length() - 1, v_levels.numel().bit_length() - 1
    q = q.float() * scale
    step = max(1, -(-n // splits))
    parts = []
    for start in range(0, max(n, 1), step):
        span = slice(start, min(start + step, n))
        hidden = torch.arange(span.start, span.stop, device=q.device) >= lengths[..., None]  # [B, Hkv, run]
        k = dequantize(k_codes[..., span, :], k_norms[..., span].masked_fill(hidden, 0), k_levels, kbits)
        v = dequantize(v_codes[..., span, :], v_norms[..., span].masked_fill(hidden, 0), v_levels, vbits)
        logits = q @ k.transpose(-1, -2)
        if bias is not None:
            logits = logits + bias.expand(*q.shape[:-1], n)[..., span]
        logits = logits.masked_fill(hidden[..., None, :], -torch.inf)
        lse = torch.logsumexp(logits, -1)
        weights = torch.exp(logits - lse.masked_fill(lse == -torch.inf, 0)[..., None])
        parts.append((weights @ v, lse))
    return merge(torch.stack([out for out, _ in parts]), torch.stack([lse for _, lse in parts]))


def merge(outs: Tensor, lses: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over disjoint sets of keys, joined as if it were over all of them.

    outs       float32 [S, ..., d], the normalised output of each set; lses float32 [S, ...]
    → out      float32 [..., d]; lse float32 [...]
    """
    lse = torch.logsumexp(lses, 0)
    weights = torch.exp(lses - lse.masked_fill(lse == -torch.inf, 0))
    return (weights[..., None] * outs).sum(0), lse
