"""What every scorer is given and gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Held", "Scorer", "attention_of"]


@dataclass(frozen=True)
class Held:
    """What one layer holds when its tokens are scored."""

    keys: Tensor
    """float32 [B, Hkv, N, d], rotated as cached, the candidates for eviction."""
    positions: Tensor
    """integer [B, Hkv or 1, N], -1 where there is no token."""
    recent_keys: Tensor
    """float32 [B, Hkv, W, d], the recent tokens, which are kept anyway."""
    recent_positions: Tensor
    """integer [B, W], -1 where there is no token."""
    queries: Tensor
    """float [B, Hq, w, d], the last queries, rotated; w is at most what the scorer asked for."""
    query_positions: Tensor
    """integer [B, w]."""
    now: Tensor
    """int64 [B]: the position of the next token."""
    scaling: float
    layer: int
    layers: int


class Scorer(ABC):
    """Scores the tokens of a layer."""

    queries = 0
    """How many of the last queries are needed."""
    prompt_only = False
    """Whether only the prompt is pruned, once, and what is generated is all kept."""

    @abstractmethod
    def score(self, held: Held) -> Tensor:
        """float [B, Hkv, N]: what is higher is kept. Slots without a token may get anything that is not NaN."""

    def share(self, budget: int, exempt: int, layer: int, layers: int) -> int:
        """The budget of one layer, of which `exempt` tokens are kept whatever their score. The same for all, here."""
        return budget


def attention_of(held: Held) -> Tensor:
    """The attention of the last queries to the candidates, normalised over candidates and recent tokens.

    float32 [B, Hkv, G, w, N].
    """
    keys = torch.cat([held.keys, held.recent_keys], 2)
    heads, n = keys.shape[1], held.keys.shape[2]
    positions = torch.cat(
        [held.positions.expand(-1, heads, -1), held.recent_positions[:, None].expand(-1, heads, -1)], 2
    )
    queries = held.queries.float().unflatten(1, (heads, -1))  # [B, Hkv, G, w, d]
    logits = held.scaling * queries @ keys[:, :, None].transpose(-1, -2)
    later = positions[:, :, None] > held.query_positions[:, None, :, None]  # [B, Hkv, w, N + W]
    hidden = later | (positions < 0)[:, :, None]
    return logits.masked_fill(hidden[:, :, None], -torch.inf).softmax(-1).nan_to_num(0)[..., :n]
