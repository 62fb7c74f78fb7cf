"""The attention function that transformers calls by name, and the layers of a cache that it hands the work to.

`update` of a cache layer gives attention the new keys only, with the layer on the key tensor; attention hands the
queries to `Layer.attend`, which sees what the layer holds and the new tokens, and only then takes the new tokens in.
Names are registered with transformers, as it provides for; nothing of it is replaced.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import CacheLayerMixin

from .errors import BadTensor, Unsupported

__all__ = ["NAME", "Layer", "exact_attention"]

NAME = "swarm_kv"
"""For `model.set_attn_implementation(NAME)`."""


class Layer(CacheLayerMixin):
    """One layer of a cache whose attention is its own."""

    is_sliding = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = 0
        """Tokens that went through, kept or not: the logical length, from which positions follow."""
        self.waiting = False

    @abstractmethod
    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, positions: Tensor, scaling: float
    ) -> Tensor:
        """Attention of new tokens over what is held and over themselves, causally; then take them in.

        query [B, Hq, Tq, d], key and value [B, Hkv, Tq, d]; padding bool [B, seen + Tq], False for padding, or None;
        positions int64 [B or 1, Tq]. → [B, Hq, Tq, d] of the query's dtype.
        """

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: storage is made by the first tokens."""
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The new keys and values as they came. Raises Unsupported where nobody attended to the last ones."""
        if self.waiting:
            raise Unsupported(
                f"this cache needs its own attention: call model.set_attn_implementation({NAME!r}) before a token"
            )
        self.waiting = True
        self.lazy_initialization(key_states, value_states)
        key_states.swarm_layer = self  # type: ignore[attr-defined]
        return key_states, value_states

    def get_mask_sizes(self, query_length: int | Tensor) -> tuple[int, int]:
        """Logical lengths: the mask is the padding of every token seen (see `_mask`).

        Early transformers 5 give the new tokens' positions where later ones give their number.
        """
        return self.seen + (query_length if isinstance(query_length, int) else query_length.shape[0]), 0

    def get_seq_length(self) -> int:
        """The logical length."""
        return self.seen

    def get_max_length(self) -> int:
        """There is none."""
        return -1

    def get_max_cache_shape(self) -> int:
        """What early transformers 5 call `get_max_length`."""
        return -1


def exact_attention(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, scaling: float) -> Tensor:
    """Causal attention of tokens over themselves: query [B, Hq, T, d], key and value [B, Hkv, T, d], padding [B, T]."""
    if padding is None or bool(padding.all()):
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
    t = query.shape[2]
    causal = torch.ones(t, t, dtype=torch.bool, device=query.device).tril()
    mask = causal & padding[:, None, None, :]
    mask |= torch.eye(t, dtype=torch.bool, device=query.device)  # padding sees itself, so that no row is empty
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling, enable_gqa=True)


def _mask(
    *,
    kv_length: int,
    attention_mask: Tensor | None = None,
    q_length: int | None = None,
    cache_position: Tensor | None = None,
    **kwargs: Any,
) -> Tensor | None:
    """What attention gets as its mask: the padding, bool [B, kv_length], or None. It is causal without being told.

    Early transformers 5 give `cache_position`, the new tokens' positions, where later ones give `q_length`.
    """
    if not (q_length if cache_position is None else len(cache_position)):
        raise BadTensor(
            "there is no new token after those that the cache has seen; give it a longer text, or reset() it before "
            "another one"
        )
    if attention_mask is None:
        return None
    if attention_mask.shape[-1] < kv_length:
        raise BadTensor(
            f"an attention mask of {attention_mask.shape[-1]} tokens for {kv_length}; give it for every token so far"
        )
    return attention_mask[:, :kv_length].bool()


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    position_ids: Tensor | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if attention_mask is not None and attention_mask.ndim != 2:
        raise Unsupported("only masks of padding, [batch, tokens], are supported, none of four dimensions")
    if sliding_window is not None or dropout:
        raise Unsupported("sliding windows and dropout are not supported; load the model in eval mode")
    layer: Layer | None = getattr(key, "swarm_layer", None)
    if layer is None:
        out = exact_attention(query, key, value, attention_mask, scaling)
    else:
        layer.waiting = False
        if position_ids is None:
            position_ids = torch.arange(layer.seen, layer.seen + query.shape[2], device=query.device)[None]
        out = layer.attend(query, key, value, attention_mask, position_ids, scaling)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, _mask)
