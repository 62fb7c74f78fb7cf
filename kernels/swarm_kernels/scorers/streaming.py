"""StreamingLLM (Xiao et al., arXiv 2309.17453)."""

from __future__ import annotations

from torch import Tensor

from .base import Held, Scorer

__all__ = ["Streaming"]


class Streaming(Scorer):
    """The most recent tokens, beside the prefix that the policy protects."""

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]."""
        return held.positions.float().expand(held.keys.shape[:3])
