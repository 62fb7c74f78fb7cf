"""Which tokens are kept: the best by score, with some protected and a quota for each part of the text."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["select"]


def select(
    scores: Tensor, positions: Tensor, protected: Tensor, keep: int, now: Tensor, segments: int, quota: float
) -> Tensor:
    """The indices of the `keep` tokens that each head keeps, ascending: int64 [B, Hkv, keep].

    scores     float [B, Hkv, N], higher is kept
    positions  integer [B, Hkv or 1, N], -1 where there is no token: such slots are taken last
    protected  bool [B, Hkv or 1, N]: taken first, whatever their score; at most `keep` a head
    now        integer [B]: the length of the text; `segments` spans of equal length divide it, each of which gets
               its best floor(quota · free / segments) tokens, free being what the protected leave; the best of the
               rest fill up
    """
    present = (positions >= 0).expand_as(scores)
    ranked = torch.where(present, scores.double(), -torch.inf)
    low = ranked.masked_fill(~present, torch.inf).amin()
    high = ranked.amax()
    lift = (high - low + 1).nan_to_num(1.0, 1.0, 1.0)  # above any difference of scores
    shielded = protected.expand_as(scores) & present
    free = keep - int(shielded.sum(-1).max())
    each = int(quota * free / segments)
    if each and segments > 1:
        span = (positions.long() * segments // now[:, None, None].clamp_min(1)).clamp(0, segments - 1)
        span = span.expand_as(scores)
        for segment in range(segments):
            inside = (span == segment) & present & ~shielded
            inner = torch.where(inside, scores.double(), -torch.inf)
            best = inner.topk(min(each, inner.shape[-1]), -1).indices
            won = torch.zeros_like(inside).scatter_(-1, best, True) & inside
            ranked = torch.where(won, ranked + lift, ranked)
    ranked = torch.where(shielded, torch.inf, ranked)
    return ranked.topk(keep, -1).indices.sort(-1).values
