"""R-KV (Cai et al., arXiv 2505.24133)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, normalize

from .base import Held, Scorer, attention_of

__all__ = ["RKV"]


class RKV(Scorer):
    """Importance against redundancy: a tenth of the attention of the last eight queries, less nine tenths of how much a
    key resembles the others, where the latest of those that resemble it do not count against it.
    """

    queries = 8
    weight, alike, spared = 0.1, 0.5, 0.1

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]. The resemblance of all pairs takes N² numbers a head."""
        attention = attention_of(held).mean((2, 3))
        attention = max_pool1d(attention, 7, stride=1, padding=3)
        present = (held.positions >= 0).expand(-1, held.keys.shape[1], -1)
        unit = normalize(held.keys, dim=-1).masked_fill(~present[..., None], 0)
        cosine = unit @ unit.transpose(-1, -2)
        cosine.diagonal(dim1=-2, dim2=-1).zero_()
        # Of the keys alike to one, the latest few are spared: their column of its row is struck out.
        near = cosine > self.alike
        later = near.flip(-1).cumsum(-1).flip(-1)  # how many alike stand at or after this one
        count = present.sum(-1, keepdim=True).clamp_min(1)
        spared = (self.spared * count).long().clamp_min(1)[..., None]
        cosine = cosine.masked_fill(near & (later <= spared), 0)
        redundancy = (cosine.sum(-2) / count).masked_fill(~present, -torch.inf).softmax(-1).nan_to_num(0)
        return self.weight * attention - (1 - self.weight) * redundancy
