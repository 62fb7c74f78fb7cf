"""Random eviction: what every other method has to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Held, Scorer

__all__ = ["Random"]


class Random(Scorer):
    """A number for each token and head, drawn from the seed anew at every pruning."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]."""
        return torch.rand(held.keys.shape[:3], generator=self.generator).to(held.keys.device)
