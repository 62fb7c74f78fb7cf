"""One layer of a compressed cache: sinks, a store of what was flushed, and a window of recent tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .attention import Layer, exact_attention
from .backend import Backend
from .errors import BadTensor, Unsupported
from .policy import Policy
from .scorers import Held, Scorer
from .selection import select
from .stores import Store, attend

__all__ = ["CompressedLayer", "Counts"]


SPAN = 512
"""New tokens that attend at a time to what is held."""


@dataclass
class Counts:
    """What was done so far; a token counts once for each KV head."""

    seen: int = 0
    evicted: int = 0
    quantised: int = 0
    flushes: int = 0


class CompressedLayer(Layer):
    """Keys and values of one layer.

    A token is in exactly one place: the first `sinks` of a sequence, the window (at most window + slack - 1 recent
    tokens), or the store. It goes into the store once, when the window is full; from then on it can only be evicted.
    Nothing held carries a gradient.
    """

    is_croppable = False

    def __init__(self, index: int, layers: int, policy: Policy, store: Callable[[], Store], scorer: Scorer | None,
                 wide_positions: bool, backend: Backend) -> None:  # fmt: skip
        super().__init__()
        self.index, self.layers, self.policy, self.scorer = index, layers, policy, scorer
        self.make_store, self.backend = store, backend
        self.position_type = torch.int32 if wide_positions else torch.int16
        self.reset()

    def reset(self) -> None:
        """Forget all tokens."""
        self.store = self.make_store()
        self.counts = Counts()
        self.near: dict[str, Tensor] = {}
        """sink_k, sink_v [B, Hkv, sinks, d], sink_at [B, sinks]; k, v [B, Hkv, window + slack - 1, d], at [B, …]: the
        positions, -1 for none; queries [B, Hq, w, d] and query_at for a scorer; prompt [B], its length, and last [B],
        the greatest position."""
        self.filled = self.seen = 0
        self.waiting = self.is_initialized = False

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """All tensors of the layer by part and name, as they are held: what is changed here is changed there."""
        return {"near": self.near, "held": self.store.held, "fixed": self.store.fixed}

    def resume(self, filled: int, seen: int, counts: dict[str, int]) -> None:
        """Go on where the layer that these numbers and the tensors in `parts` are of stopped."""
        self.filled, self.seen, self.counts = filled, seen, Counts(**counts)
        self.is_initialized = True

    @property
    def nbytes(self) -> int:
        """The bytes allocated, positions and free places of the window included."""
        return self.store.nbytes + sum(t.untyped_storage().nbytes() for t in self.near.values())

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, positions: Tensor, scaling: float
    ) -> Tensor:
        """Exact while nothing is held; else the store, the sinks and the window, joined by their log-sum-exp."""
        self._check(query, key, value)
        b, _, t, _ = query.shape
        at = positions.expand(b, t)
        if padding is not None:
            at = torch.where(padding[:, self.seen : self.seen + t], at, -1)
        self._check_positions(at)
        if self.seen == 0:
            out = exact_attention(query, key, value, padding, scaling)
            self._begin(key, at)
        else:
            # Some queries at a time: masks and logits of a long text that goes on would outweigh the cache.
            spans = [slice(start, min(start + SPAN, t)) for start in range(0, t, SPAN)]
            out = torch.cat([self._over_all(query, key, value, at, span, scaling) for span in spans], 2)
        self.near["last"] = torch.maximum(self.near["last"], at.amax(1).int())
        self._take_queries(query.detach(), at)
        self._absorb(key.detach(), value.detach(), at, scaling)
        self.seen += t
        self.counts.seen += int((at >= 0).sum()) * key.shape[1]
        return out

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        if not key.dtype == value.dtype == query.dtype or not key.device == value.device == query.device:
            raise BadTensor(
                f"layer {self.index}: queries, keys and values are of {query.dtype} on {query.device}, {key.dtype} on "
                f"{key.device}, {value.dtype} on {value.device}; load the model in one type on one device"
            )
        held = self.near.get("k")
        if held is not None and (held.dtype != key.dtype or held.device != key.device or len(held) != len(key)):
            raise BadTensor(
                f"layer {self.index}: {len(key)} rows of {key.dtype} on {key.device} for a cache of {len(held)} rows "
                f"of {held.dtype} on {held.device}; make a new cache"
            )
        for name, tensor in (("keys", key), ("values", value)):
            bad = ~tensor.isfinite().all(-1).all(-1)
            if bool(bad.any()):
                head = int(bad.nonzero()[0, 1])
                raise BadTensor(
                    f"layer {self.index}, head {head}: {name} are NaN or infinite; look for an overflow in the model",
                    self.index,
                    head,
                )

    def _check_positions(self, at: Tensor) -> None:
        limit = torch.iinfo(self.position_type).max
        held = self.near["last"][:, None] if self.seen else at.new_full((1, 1), -1)
        behind, top = torch.stack([((at >= 0) & (at <= held)).any().long(), at.max().long()]).tolist()
        if behind:
            raise BadTensor(
                f"layer {self.index}: positions do not go on after the {self.seen} tokens that this cache has seen; "
                "give it the rest of the same text, or reset() it before another one"
            )
        if top > limit:
            raise BadTensor(
                f"layer {self.index}: position {top} is beyond {limit}, as the model's max_position_embeddings is not; "
                "raise that in its configuration"
            )

    def _begin(self, key: Tensor, at: Tensor) -> None:
        b, heads, _, d = key.shape
        sinks, room = self.policy.sinks, self.policy.window + self.policy.slack - 1
        for name, size in (("sink_", sinks), ("", room)):
            self.near[f"{name}k"] = key.new_zeros(b, heads, size, d)
            self.near[f"{name}v"] = key.new_zeros(b, heads, size, d)
            self.near[f"{name}at"] = torch.full((b, size), -1, dtype=self.position_type, device=key.device)
        self.near["prompt"] = at.amax(1).int() + 1
        self.near["last"] = torch.full_like(self.near["prompt"], -1)

    def _over_all(self, query: Tensor, key: Tensor, value: Tensor, at: Tensor, span: slice, scaling: float) -> Tensor:
        """Attention of the new queries in `span` over what is held and the new keys up to them."""
        heads, t = key.shape[1], span.stop - span.start
        rows = query[:, :, span].float().unflatten(1, (heads, -1)).flatten(2, 3)  # [B, Hkv, G·t, d]
        recent, new = slice(0, self.filled), slice(0, span.stop)
        k = torch.cat([self.near["sink_k"], self.near["k"][:, :, recent], key[:, :, new]], 2)
        v = torch.cat([self.near["sink_v"], self.near["v"][:, :, recent], value[:, :, new]], 2)
        absent = torch.cat([self.near["sink_at"], self.near["at"][:, recent], at[:, new]], 1) < 0  # [B, n]
        hidden = absent[:, None].repeat(1, t, 1)
        later = torch.ones(t, span.stop, dtype=torch.bool, device=key.device).triu(span.start + 1)
        hidden[:, :, -span.stop :] |= later
        hidden = hidden.repeat(1, rows.shape[2] // t, 1)[:, None]  # [B, 1, G·t, n]
        out, lse = attend(self.backend, rows, k, v, hidden, scaling)
        if self.store.count:
            far, far_lse = self.store.attend(rows, scaling)
            out, _ = self.backend.merge(torch.stack([out, far]), torch.stack([lse, far_lse]))
        return out.unflatten(2, (-1, t)).flatten(1, 2).to(query.dtype)

    def _take_queries(self, query: Tensor, at: Tensor) -> None:
        if self.scorer is None or not self.scorer.queries or (self.scorer.prompt_only and self.seen):
            return
        if "queries" in self.near:
            query, at = torch.cat([self.near["queries"], query], 2), torch.cat([self.near["query_at"], at], 1)
        self.near["queries"] = query[:, :, -self.scorer.queries :].clone()
        self.near["query_at"] = at[:, -self.scorer.queries :].clone()

    def _absorb(self, key: Tensor, value: Tensor, at: Tensor, scaling: float) -> None:
        t, window = key.shape[2], self.policy.window
        total = self.filled + t
        at = at.to(self.position_type)
        if total < window + self.policy.slack:
            place = slice(self.filled, total)
            self.near["k"][:, :, place], self.near["v"][:, :, place], self.near["at"][:, place] = key, value, at
            self.filled = total
            return
        recent = slice(0, self.filled)
        k = torch.cat([self.near["k"][:, :, recent], key], 2)
        v = torch.cat([self.near["v"][:, :, recent], value], 2)
        at = torch.cat([self.near["at"][:, recent], at], 1)
        leaving = (total - window) // self.store.group * self.store.group
        rest = slice(leaving, total)
        self.filled = total - leaving
        stay = slice(0, self.filled)
        self.near["k"][:, :, stay], self.near["v"][:, :, stay] = k[:, :, rest], v[:, :, rest]
        self.near["at"][:, stay] = at[:, rest]
        self._flush(k[:, :, :leaving], v[:, :, :leaving], at[:, :leaving], scaling)

    def _flush(self, k: Tensor, v: Tensor, at: Tensor, scaling: float) -> None:
        """Take the first tokens of a sequence for sinks, quantise the rest, evict what is over the budget."""
        at = at.clone()
        row, column = ((at >= 0) & (at < self.policy.sinks)).nonzero(as_tuple=True)
        slot = at[row, column].long()
        self.near["sink_k"][row, :, slot], self.near["sink_v"][row, :, slot] = k[row, :, column], v[row, :, column]
        self.near["sink_at"][row, slot] = at[row, column]
        at[row, column] = -1
        wanted = (at >= 0).any(0) if self.store.group == 1 else torch.ones_like(at[0], dtype=torch.bool)
        if not bool(wanted.any()):
            return
        heads = k.shape[1]
        spread = heads if self.scorer is not None else 1
        positions = at[:, None, wanted].repeat(1, spread, 1)
        self.store.append(k[:, :, wanted], v[:, :, wanted], positions)
        self.counts.flushes += 1
        if self.store.quantises:
            self.counts.quantised += int((at >= 0).sum()) * heads
        if self.scorer is not None and not (self.scorer.prompt_only and self.seen):
            self._prune(self.scorer, scaling)
        if self.scorer is not None and self.scorer.prompt_only:
            self.near.pop("queries", None)
            self.near.pop("query_at", None)

    def _prune(self, scorer: Scorer, scaling: float) -> None:
        policy, positions = self.policy, self.store.positions
        exempt = policy.window + policy.sinks
        share = scorer.share(policy.budget or 0, exempt + max(0, policy.prefix - policy.sinks), self.index, self.layers)
        first = torch.full_like(self.near["prompt"], policy.prefix)
        if policy.prune_prompt:
            keep = max(0, share - exempt)
        else:
            first = torch.maximum(first, self.near["prompt"])
            keep = max(0, share - policy.window)
        protected = (positions >= 0) & (positions < first[:, None, None])
        if not policy.prune_prompt:
            keep += int(protected.sum(-1).max())
        if self.store.count <= keep:
            return
        recent = slice(0, self.filled)
        recent_at = torch.cat([self.near["sink_at"], self.near["at"][:, recent]], 1)
        now = self.near["last"].long() + 1
        nothing = self.near["k"].new_zeros(1)
        held = Held(
            keys=self.store.keys(),
            positions=positions,
            recent_keys=torch.cat([self.near["sink_k"], self.near["k"][:, :, recent]], 2).float(),
            recent_positions=recent_at,
            queries=self.near.get("queries", nothing),
            query_positions=self.near.get("query_at", nothing),
            now=now,
            scaling=scaling,
            layer=self.index,
            layers=self.layers,
        )
        present = int((positions >= 0).sum())
        index = select(scorer.score(held), positions, protected, keep, now, policy.segments, policy.quota)
        self.store.gather(index)
        self.counts.evicted += present - int((self.store.positions >= 0).sum())

    def _map_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        self.store.map_batch(change)
        self.near = {name: change(tensor) for name, tensor in self.near.items()}

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Rows in the order of `beam_idx`, for beam search."""
        self._map_batch(lambda tensor: tensor.index_select(0, beam_idx.to(tensor.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each row `repeats` times."""
        self._map_batch(lambda tensor: tensor.repeat_interleave(repeats, 0))

    def batch_select_indices(self, indices: Tensor) -> None:
        """The rows of `indices` only."""
        self._map_batch(lambda tensor: tensor[indices.to(tensor.device)])

    def crop(self, tokens_to_remove: int) -> None:
        """Take back the last -tokens_to_remove tokens, or all but the first tokens_to_remove where that is positive.

        Later transformers 5 use the first form, early ones the second. Raises Unsupported where a token to be taken
        back has left the window.
        """
        count = -tokens_to_remove if tokens_to_remove <= 0 else max(0, self.seen - tokens_to_remove)
        if count > self.filled:
            raise Unsupported(
                f"{count} tokens cannot be taken back: the last {self.filled} are in the window, what was before is "
                "compressed; ask for fewer, or use a longer window"
            )
        self.filled -= count
        self.seen -= count
        self.near["at"][:, self.filled :] = -1
        self.near["last"] -= count
