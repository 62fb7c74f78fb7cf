"""Rotary position embedding in halves layout: band f is dimensions f and f + d/2, as one complex number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import Unsupported

__all__ = ["Rope"]

_FIXED = {"default", "linear", "llama3", "yarn"}
"""The types whose speeds do not change with the length of the text, so that a cached key can be rotated back."""


@dataclass(frozen=True)
class Rope:
    """A model's rotation: band f of a vector at position p is turned by p·speeds[f] and multiplied by `scaling`.

    `scaling` is YaRN's attention factor, 1 elsewhere. Whatever is computed here from cached keys and queries keeps it
    in: the mean of un-rotated queries times a cached key is a logit with both factors.
    """

    speeds: Tensor
    """float32 [d/2]."""
    scaling: float = 1.0

    @classmethod
    def of(cls, model: Any) -> Rope:
        """The rotation of a transformers model. Raises Unsupported where positions are not rotated this way."""
        rotary = getattr(getattr(model, "model", model), "rotary_emb", None)
        parameters = getattr(model.config, "rope_parameters", None) or {}
        kind = parameters.get("rope_type", "default")
        if rotary is None or kind not in _FIXED:
            raise Unsupported(f"rotary embeddings of type {kind!r} cannot be turned back; supported: {sorted(_FIXED)}")
        head_size = getattr(model.config, "head_dim", None) or (
            model.config.hidden_size // model.config.num_attention_heads
        )
        if 2 * rotary.inv_freq.numel() != head_size or parameters.get("partial_rotary_factor", 1.0) != 1.0:
            raise Unsupported("only part of each head is rotated in this model; that is not supported")
        return cls(rotary.inv_freq.detach().float().cpu(), float(rotary.attention_scaling))

    def turn(self, x: Tensor, positions: Tensor, back: bool = False) -> Tensor:
        """Rotate by position, without the scaling: float32 [..., d], positions an integer tensor that broadcasts [...].

        In float32 as the model does it, so that the two agree to rounding. With `back`, the other way.
        """
        phase = positions[..., None].float() * self.speeds.to(x.device)
        cos, sin = phase.cos(), -phase.sin() if back else phase.sin()
        real, imaginary = x.float().chunk(2, -1)
        return torch.cat([real * cos - imaginary * sin, imaginary * cos + real * sin], -1)
