"""What a store does, and attention over keys and values that are not packed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from ..backend import Backend

__all__ = ["Store", "attend", "joined"]


class Store(ABC):
    """The tokens of one layer that have left the window, with their positions."""

    group = 1
    """Tokens are taken in by so many or a multiple of it."""
    quantises = False

    def __init__(self) -> None:
        self.held: dict[str, Tensor] = {}
        """By name, what is kept a token: dimension 0 is the batch, dimension 2 the tokens. `positions` is always there:
        integer [B, Hkv or 1, N], -1 where there is no token."""
        self.fixed: dict[str, Tensor] = {}
        """What is kept a sequence: dimension 0 is the batch."""

    @property
    def positions(self) -> Tensor:
        """integer [B, Hkv or 1, N], -1 where there is no token; such slots come last unless `group` is above 1."""
        return self.held["positions"]

    @property
    def count(self) -> int:
        """The slots a head."""
        return self.held["positions"].shape[2] if self.held else 0

    @abstractmethod
    def append(self, k: Tensor, v: Tensor, positions: Tensor) -> None:
        """Take in tokens: k and v [B, Hkv, n, d], positions [B, Hkv or 1, n], -1 where a row has none."""

    @abstractmethod
    def attend(self, rows: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Attention of float32 rows [B, Hkv, R, d] over all tokens: (out [B, Hkv, R, d], lse [B, Hkv, R]), float32."""

    @abstractmethod
    def keys(self) -> Tensor:
        """The keys, float32 [B, Hkv, N, d], for scoring; not to be kept."""

    def gather(self, index: Tensor) -> None:
        """Keep the slots of `index`, int64 [B, Hkv or 1, n], in that order. What is packed stays as it was packed."""
        for name, tensor in self.held.items():
            at = index.expand(-1, tensor.shape[1], -1)
            at = at.reshape(*at.shape, *[1] * (tensor.ndim - 3)).expand(-1, -1, -1, *tensor.shape[3:])
            self.held[name] = tensor.gather(2, at)

    def map_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        """Replace every tensor by `change` of it, which chooses among or repeats the rows of dimension 0."""
        for part in (self.held, self.fixed):
            for name, tensor in part.items():
                part[name] = change(tensor)

    @property
    def nbytes(self) -> int:
        """The bytes allocated."""
        return sum(t.untyped_storage().nbytes() for part in (self.held, self.fixed) for t in part.values())

    def _add(self, **new: Tensor) -> None:
        for name, tensor in new.items():
            self.held[name] = joined(self.held.get(name), tensor)

    def _close_ranks(self) -> None:
        """Move the slots without a token to the end of each row, and drop those that no row needs."""
        absent = self.positions < 0
        if bool(absent.any()):
            needed = int((~absent).sum(-1).max())
            self.gather(absent.to(torch.uint8).sort(dim=-1, stable=True).indices[..., :needed])


def joined(old: Tensor | None, new: Tensor) -> Tensor:
    """`old` with `new` after it along the tokens, in storage of its own."""
    return new.contiguous() if old is None else torch.cat([old, new], 2)


def attend(backend: Backend, rows: Tensor, k: Tensor, v: Tensor, hidden: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention with its log-sum-exp, in float32, over keys that are not packed.

    rows float32 [B, Hkv, R, d]; k, v [B, Hkv, N, d]; hidden bool, broadcastable to [B, Hkv, R, N].
    → out float32 [B, Hkv, R, d], 0 where a row sees nothing; lse float32 [B, Hkv, R], -inf there.
    """
    b, heads, n, _ = k.shape
    lengths = torch.full((b, heads), n, dtype=torch.int32, device=k.device)
    bias = torch.zeros(hidden.shape, device=k.device).masked_fill(hidden, -torch.inf)
    return backend.attend(rows, k, v, lengths, scale, bias, backend.splits(b * heads, n, k.device))
