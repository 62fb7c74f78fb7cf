"""Eviction by the norm of the key (Devoto et al., arXiv 2406.11430)."""

from __future__ import annotations

from torch import Tensor

from .base import Held, Scorer

__all__ = ["Knorm"]


class Knorm(Scorer):
    """Short keys are kept: they tend to draw the most attention."""

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]."""
        return -held.keys.norm(dim=-1)
