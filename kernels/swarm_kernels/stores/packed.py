"""Tokens quantised by TurboQuant, once, and attended to as they are packed."""

from __future__ import annotations

import torch
from torch import Tensor

from ..backend import RUN, Backend
from ..rope import Rope
from ..turboquant import Packed, Quantizer
from .base import Store

__all__ = ["PackedStore"]


class PackedStore(Store):
    """Codes and norms of keys and values. Queries are rotated once a step, outputs rotated back once.

    With `rope`, the mean of the keys before rotation, estimated from the first tokens taken in (the prompt), is taken
    off every key at the key's own position, and its logit, which depends on the position alone, is added exactly.
    """

    quantises = True

    def __init__(self, k: Quantizer, v: Quantizer, backend: Backend, rope: Rope | None = None) -> None:
        super().__init__()
        self.k, self.v, self.backend, self.rope = k, v, backend, rope

    def append(self, k: Tensor, v: Tensor, positions: Tensor) -> None:
        """Quantise and take in tokens."""
        if self.rope is not None:
            k = k.float() - self._mean_at(positions, k)
        packed_k, packed_v = self.k.quantize(k, self.backend.quantize), self.v.quantize(v, self.backend.quantize)
        self._add(
            k_codes=packed_k.codes,
            k_norms=packed_k.norms,
            v_codes=packed_v.codes,
            v_norms=packed_v.norms,
            positions=positions,
        )
        self._close_ranks()

    def attend(self, rows: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Attention over all tokens, from the codes."""
        heads, device = rows.shape[1], rows.device
        lengths = (self.positions >= 0).sum(-1, dtype=torch.int32).expand(-1, heads)
        out, lse = self.backend.decode(
            rows @ self.k.rotation(device).T,
            self.held["k_codes"],
            self.held["k_norms"],
            self.k.levels(device),
            self.held["v_codes"],
            self.held["v_norms"],
            self.v.levels(device),
            lengths,
            scale,
            self._mean_logits(rows, scale),
            self.backend.splits(rows.shape[0] * heads, self.count, device),
        )
        return out @ self.v.rotation(device), lse

    def keys(self) -> Tensor:
        """The keys as they unpack, their mean added back."""
        k = Packed(self.held["k_codes"], self.held["k_norms"], self.k).dequantize()
        return k if self.rope is None else k + self._mean_at(self.positions, k)

    def _mean_at(self, positions: Tensor, k: Tensor) -> Tensor:
        """The mean key, rotated to each position: float32, broadcastable to [B, Hkv, n, d]."""
        if self.rope is None:
            raise RuntimeError("a mean without a rotation")
        if "mean" not in self.fixed:
            present = (positions >= 0)[..., None].expand(*k.shape[:3], 1)
            plain = self.rope.turn(k, positions, back=True).masked_fill(~present, 0)
            self.fixed["mean"] = plain.sum(2, keepdim=True) / present.sum(2, keepdim=True).clamp_min(1)
        return self.rope.turn(self.fixed["mean"], positions)

    def _mean_logits(self, rows: Tensor, scale: float) -> Tensor | None:
        """The logits of the mean keys: float32 [B, Hkv, R, N]."""
        if self.rope is None:
            return None
        runs = [
            scale * rows @ self._mean_at(self.positions[:, :, start : start + RUN], rows).transpose(-1, -2)
            for start in range(0, self.count, RUN)
        ]
        return torch.cat(runs, -1)
