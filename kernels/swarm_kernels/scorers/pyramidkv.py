"""PyramidKV (Cai et al., arXiv 2406.02069)."""

from __future__ import annotations

from .snapkv import SnapKV

__all__ = ["PyramidKV"]


class PyramidKV(SnapKV):
    """SnapKV's score, with budgets that fall linearly from the first layer to the last; their mean is the budget."""

    steepness = 20

    def share(self, budget: int, exempt: int, layer: int, layers: int) -> int:
        """From 2·(budget - exempt) - least in the first layer to least = (budget - exempt) / 20 in the last."""
        scored = budget - exempt
        least = scored / self.steepness
        most = 2 * scored - least
        fall = (most - least) / max(1, layers - 1)
        return exempt + round(most - layer * fall) if layers > 1 else budget
