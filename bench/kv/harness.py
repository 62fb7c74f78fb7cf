"""What every row does: contexts, a model, a cache under a policy, and which answers were right."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from swarm_kernels.attention import NAME
from swarm_kernels.cache import CompressedCache
from swarm_kernels.calibration import Calibration, calibrate
from swarm_kernels.policy import Policy

from .model import WEIGHTS, load
from .task import Batch, recalls

__all__ = [
    "EXTRA",
    "RECORDS",
    "SEEDS",
    "Answers",
    "ask",
    "calibration_of",
    "exam",
    "full_nbytes",
    "interval",
    "model_of",
    "new_cache",
    "split",
    "weights",
]

RECORDS = 32
EXTRA = Path(".bench/kv")
"""Where the weights of further seeds are, which are not part of the repository: `make train-kv`."""
ROWS = 16  # contexts at a time


def weights(seed: int) -> Path:
    """Where the weights of a seed are, or would be."""
    included = WEIGHTS / f"recall-{seed}.safetensors"
    return included if included.exists() else EXTRA / included.name


SEEDS = [seed for seed in range(10) if weights(seed).exists()][:5]
"""The first five seeds that are trained; each row says how many."""


def model_of(seed: int) -> Any:
    """The recall model of a seed, in bfloat16, so that bytes are those of a real cache."""
    model = load(weights(seed)).to(torch.bfloat16)
    model.set_attn_implementation(NAME)
    return model


def new_cache(model: Any, policy: Policy | None, calibration: Calibration | None = None) -> Any:
    """An empty cache under a policy, transformers' full one for None; the model's attention is set to suit it."""
    model.set_attn_implementation("sdpa" if policy is None else NAME)
    return DynamicCache(config=model.config) if policy is None else CompressedCache(model, policy, calibration)


def full_nbytes(cache: DynamicCache) -> int:
    """The bytes of the keys and values of a full cache."""
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)  # type: ignore[union-attr]


def exam(seed: int, contexts: int, length: int, place: str = "any", records: int = RECORDS) -> Batch:
    """Contexts that no model was trained on, the same for every method."""
    generator = torch.Generator().manual_seed(7_000_003 + seed)
    return recalls(contexts, length, records, generator, place=place)


def calibration_of(model: Any, length: int, with_questions: bool = True) -> Calibration:
    """Statistics of held-out texts: of their questions, or of contexts alone, as a text without questions has them."""
    generator = torch.Generator().manual_seed(5_000_011)
    batches = [recalls(8, length, RECORDS, generator) for _ in range(4)]
    if with_questions:
        return calibrate(model, [torch.cat([b.context, b.tail], 1) for b in batches], skip=length)
    return calibrate(model, [b.context for b in batches])


@dataclass
class Answers:
    """What came of an exam."""

    right: Tensor
    """bool [contexts, questions]."""
    nbytes: float
    """Allocated by the cache, a context, after the context was read."""
    ratio: float
    """How many times fewer than a full bfloat16 cache."""
    evicted: int
    quantised: int
    logits: Tensor
    """float32 [contexts, questions, vocabulary], where answers are given."""

    @property
    def share(self) -> float:
        """The share of answers that were right."""
        return float(self.right.float().mean())


def ask(
    model: Any, exam: Batch, policy: Policy | None, calibration: Calibration | None = None, seen: bool = False
) -> Answers:
    """Read each context, compress, then answer; with `seen` the first question stands before compression too.

    policy None is the full cache. A run that compressed nothing raises. Questions are asked one after the other, each
    with the right answers to those before it in sight, the cache as compression left it.
    """
    parts = [ask_some(model, part, policy, calibration, seen) for part in split(exam)]
    return Answers(
        torch.cat([p.right for p in parts]),
        sum(p.nbytes for p in parts) / len(parts),
        sum(p.ratio for p in parts) / len(parts),
        sum(p.evicted for p in parts),
        sum(p.quantised for p in parts),
        torch.cat([p.logits for p in parts]),
    )


def ask_some(model: Any, exam: Batch, policy: Policy | None, calibration: Calibration | None, seen: bool) -> Answers:
    """`ask` of one batch."""
    rows = exam.context.shape[0]
    context = torch.cat([exam.context, exam.tail[:, :2]], 1) if seen else exam.context
    cache = new_cache(model, policy, calibration)
    asked = exam.answers >= 0
    with torch.no_grad():
        model(context, past_key_values=cache, use_cache=True, logits_to_keep=1)
        if policy is None:
            nbytes, ratio, evicted, quantised = full_nbytes(cache), 1.0, 0, 0
        else:
            report = cache.report()
            nbytes, ratio, evicted, quantised = report.nbytes, report.ratio, report.evicted, report.quantised
        logits = model(exam.tail, past_key_values=cache, use_cache=True).logits.float()
    right = (logits.argmax(-1) == exam.answers)[asked].view(rows, -1)
    return Answers(right, nbytes / rows, ratio, evicted, quantised, logits[asked].view(rows, -1, logits.shape[-1]))


def split(exam: Batch) -> list[Batch]:
    """An exam in batches."""
    fields = (exam.context, exam.tail, exam.answers, exam.places)
    return [Batch(*part) for part in zip(*(field.split(ROWS) for field in fields), strict=True)]


def interval(ours: list[Tensor], theirs: list[Tensor]) -> tuple[float, float, float]:
    """(mean, low, high) of the difference in share right, 95 %: contexts drawn again, in pairs, 2,000 times."""
    difference = torch.cat([(a.float() - b.float()).mean(1) for a, b in zip(ours, theirs, strict=True)]).tolist()
    rng = random.Random(0)
    means = sorted(sum(rng.choices(difference, k=len(difference))) / len(difference) for _ in range(2000))
    return sum(difference) / len(difference), means[50], means[1949]
