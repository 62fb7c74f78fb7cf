"""TriAttention (Mao et al., arXiv 2604.04921)."""

from __future__ import annotations

from torch import Tensor

from ..backend import Backend
from ..calibration import Calibration
from ..triattention import aim
from .base import Held, Scorer

__all__ = ["TriAttention"]


class TriAttention(Scorer):
    """The expected logit of each key over the queries to come, standardised for each head; the best head counts."""

    def __init__(self, calibration: Calibration, backend: Backend) -> None:
        self.calibration, self.backend = calibration, backend

    def score(self, held: Held) -> Tensor:
        """float32 [B, Hkv, N]."""
        heads = held.keys.shape[1]
        centre, spread = aim(self.calibration, held.layer, heads, held.now)
        device = held.keys.device
        raw = self.backend.score(held.keys, centre.to(device), spread.to(device))  # [B, Hkv, G, N]
        present = (held.positions >= 0).expand(-1, heads, -1)[:, :, None]
        count = present.sum(-1, keepdim=True).clamp_min(1)
        mean = raw.masked_fill(~present, 0).sum(-1, keepdim=True) / count
        deviation = ((raw - mean).masked_fill(~present, 0).square().sum(-1, keepdim=True) / count).sqrt()
        best: Tensor = ((raw - mean) / deviation.clamp_min(1e-6)).amax(2)
        return best
