"""SnapKV (Li et al., arXiv 2404.14469)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool1d

from .base import Held, Scorer, attention_of

__all__ = ["SnapKV"]


class SnapKV(Scorer):
    """The attention of the prompt's last 16 queries, smoothed over five neighbours, the mean of a group's heads."""

    queries = 16
    prompt_only = True

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]."""
        attention = attention_of(held).mean((2, 3))
        return avg_pool1d(attention, 5, stride=1, padding=2, count_include_pad=False)
