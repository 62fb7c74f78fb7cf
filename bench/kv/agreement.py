"""Whether TriAttention's score foretells what the queries that come attend to, head by head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from bench.row import Context, Outcome
from swarm_kernels.attention import Layer, exact_attention
from swarm_kernels.calibration import Calibration
from swarm_kernels.ops.score import score
from swarm_kernels.triattention import aim

from .harness import SEEDS, calibration_of, exam, model_of
from .task import Batch

__all__ = ["correlations", "row"]

LENGTH = 512


class _Recorder(Layer):
    """Keeps queries and keys as attention gets them, and attends as without a cache."""

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, positions: Tensor, scaling: float
    ) -> Tensor:
        self.query, self.key = query.float(), key.float()
        return exact_attention(query, key, value, padding, scaling)


def row(context: Context) -> Outcome:
    """Spearman's rank correlation of score and mean logit of the questions' queries, over the keys of a context."""
    outcome = Outcome()
    seeds = SEEDS[:1] if context.quick else SEEDS
    found = {seed: _of_seed(seed, context.pick(8, 2)) for seed in seeds}
    every = torch.cat([c.flatten() for c in found.values()])
    outcome.add(
        f"rank correlation of TriAttention's score with the mean logit of real queries, {every.numel()} heads",
        "–",
        f"median {float(every.median()):.3f}, least {float(every.min()):.3f}, greatest {float(every.max()):.3f}",
    )
    outcome.detail = {str(seed): c.tolist() for seed, c in found.items()}
    return outcome


def _of_seed(seed: int, contexts: int) -> Tensor:
    model = model_of(seed)
    return correlations(model, exam(seed, contexts, LENGTH), calibration_of(model, LENGTH))


def correlations(model: Any, questions: Batch, calibration: Calibration) -> Tensor:
    """Of each layer and query head, the mean over contexts: float64 [layers, Hq]."""
    layers = [_Recorder() for _ in range(model.config.num_hidden_layers)]
    n, kv_heads = questions.context.shape[1], model.config.num_key_value_heads
    with torch.no_grad():
        model(torch.cat([questions.context, questions.tail], 1), past_key_values=Cache(layers=list(layers)))
    found = []
    for index, layer in enumerate(layers):
        keys = layer.key[:, :, :n]
        asking = layer.query[:, :, n:].unflatten(1, (kv_heads, -1))  # [B, Hkv, G, tail, d]
        logits = (asking @ keys[:, :, None].transpose(-1, -2)).mean(-2)
        now = torch.full((keys.shape[0],), n)
        scores = score(keys, *aim(calibration, index, kv_heads, now))
        found.append(_spearman(scores, logits).mean(0).flatten())
    return torch.stack(found)


def _spearman(a: Tensor, b: Tensor) -> Tensor:
    ranks = [x.argsort(-1).argsort(-1).double() for x in (a, b)]
    return torch.stack([r - r.mean(-1, keepdim=True) for r in ranks]).prod(0).sum(-1) / (
        ranks[0].var(-1, correction=0) * a.shape[-1]
    )
