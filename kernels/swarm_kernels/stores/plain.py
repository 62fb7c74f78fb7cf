"""Tokens as they came: for pruning without quantising."""

from __future__ import annotations

from torch import Tensor

from ..backend import Backend
from .base import Store, attend

__all__ = ["PlainStore"]


class PlainStore(Store):
    """Keys and values in the model's own type."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend = backend

    def append(self, k: Tensor, v: Tensor, positions: Tensor) -> None:
        """Take in tokens."""
        self._add(k=k, v=v, positions=positions)
        self._close_ranks()

    def attend(self, rows: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Attention over all tokens."""
        return attend(self.backend, rows, self.held["k"], self.held["v"], (self.positions < 0)[:, :, None], scale)

    def keys(self) -> Tensor:
        """The keys."""
        return self.held["k"].float()
