"""Random eviction: what every other method has to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Held, Scorer

__all__ = ["Random"]


class Random(Scorer):
    """A number for each token and head, drawn anew at every pruning from the seed, the layer and the text's length."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]."""
        drawn = (self.seed * held.layers + held.layer) * 2**31 + int(held.now.max())
        return torch.rand(held.keys.shape[:3], generator=torch.Generator().manual_seed(drawn)).to(held.keys.device)
