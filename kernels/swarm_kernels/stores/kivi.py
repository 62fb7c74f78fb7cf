"""KIVI (Liu et al., arXiv 2402.02750): uniform quantisation, keys by channel over 32 tokens, values by token."""

from __future__ import annotations

import torch
from torch import Tensor

from ..backend import Backend
from ..planes import pack, unpack
from .base import Store, attend

__all__ = ["KiviStore"]

_GROUP = 32


class KiviStore(Store):
    """A float16 zero and scale for each group: 32 tokens of a channel of the keys, 32 channels of a value."""

    group = _GROUP
    quantises = True

    def __init__(self, d: int, bits_k: int, bits_v: int, backend: Backend) -> None:
        super().__init__()
        self.d, self.bits_k, self.bits_v, self.backend = d, bits_k, bits_v, backend
        self.v_group = _GROUP if d % _GROUP == 0 else 8

    def append(self, k: Tensor, v: Tensor, positions: Tensor) -> None:
        """Quantise and take in a multiple of 32 tokens."""
        groups = k.float().unflatten(2, (-1, _GROUP)).transpose(-1, -2)  # [B, Hkv, n/32, d, 32]
        k_codes, k_zero, k_scale = _uniform(groups, self.bits_k)
        v_codes, v_zero, v_scale = _uniform(v.float().unflatten(-1, (-1, self.v_group)), self.bits_v)
        self._add(
            k_codes=pack(k_codes.transpose(-1, -2).flatten(2, 3), self.bits_k),
            k_zero=k_zero,
            k_scale=k_scale,
            v_codes=pack(v_codes.flatten(-2), self.bits_v),
            v_zero=v_zero,
            v_scale=v_scale,
            positions=positions,
        )

    def attend(self, rows: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Attention over what the codes unpack to."""
        return attend(self.backend, rows, self.keys(), self.values(), (self.positions < 0)[:, :, None], scale)

    def keys(self) -> Tensor:
        """The keys as they unpack."""
        codes = unpack(self.held["k_codes"], self.d, self.bits_k).float().unflatten(2, (-1, _GROUP))
        scale, zero = self.held["k_scale"].float(), self.held["k_zero"].float()
        return (codes * scale[..., None, :] + zero[..., None, :]).flatten(2, 3)

    def values(self) -> Tensor:
        """The values as they unpack."""
        codes = unpack(self.held["v_codes"], self.d, self.bits_v).float().unflatten(-1, (-1, self.v_group))
        return (codes * self.held["v_scale"].float()[..., None] + self.held["v_zero"].float()[..., None]).flatten(-2)


def _uniform(x: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Round the last dimension between its least and its greatest: (codes uint8, zero float16, scale float16)."""
    low = x.amin(-1).half()
    scale = ((x.amax(-1) - low.float()) / (2**bits - 1)).half()
    steps = (x - low.float()[..., None]) / scale.float()[..., None].clamp_min(1e-8)
    return steps.round().clamp(0, 2**bits - 1).to(torch.uint8), low, scale
