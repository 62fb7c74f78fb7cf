"""Split-K attention over keys and values as they are, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..decode.reference import merge

__all__ = ["attend"]


def attend(
    q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, scale: float, bias: Tensor | None = None, splits: int = 1
) -> tuple[Tensor, Tensor]:
    """Attention of R rows of queries a KV head over its keys; every row sees every valid key.

    q          floating [B, Hkv, R, d]; R is G query heads times Tq queries
    k, v       floating [B, Hkv, N, d]
    lengths    int32 [B, Hkv]: slots 0 … lengths-1 are valid, what lies beyond may hold anything, NaN included
    scale      multiplies q·k
    bias       float32, broadcastable to [B, Hkv, R, N], added to the logits; -inf hides a key
    splits     the keys are cut into so many runs of equal length (the last may be shorter), merged by log-sum-exp
    → out      float32 [B, Hkv, R, d]; 0 where a row sees no key
      lse      float32 [B, Hkv, R], the natural logarithm of Σ exp(logit); -inf where a row sees no key
    """
    n = k.shape[-2]
    step = max(1, -(-n // splits))
    parts = []
    for start in range(0, max(n, 1), step):
        span = slice(start, min(start + step, n))
        hidden = torch.arange(span.start, span.stop, device=q.device) >= lengths[..., None]  # [B, Hkv, run]
        keys, values = k[..., span, :].float(), v[..., span, :].float()
        if bool(hidden.any()):
            keys, values = keys.masked_fill(hidden[..., None], 0), values.masked_fill(hidden[..., None], 0)
        logits = scale * (q.float() @ keys.transpose(-1, -2))
        if bias is not None:
            logits = logits + bias.expand(*q.shape[:-1], n)[..., span]
        logits = logits.masked_fill(hidden[..., None, :], -torch.inf)
        lse = torch.logsumexp(logits, -1)
        weights = torch.exp(logits - lse.masked_fill(lse == -torch.inf, 0)[..., None])
        parts.append((weights @ values, lse))
    return merge(torch.stack([out for out, _ in parts]), torch.stack([lse for _, lse in parts]))
