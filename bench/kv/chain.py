"""A chain that the model writes itself, pruned and quantised while it is written."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.row import Context, Outcome
from swarm_kernels.calibration import Calibration, calibrate
from swarm_kernels.policy import Policy

from .harness import SEEDS, model_of, new_cache
from .task import Batch, chains

__all__ = ["STEPS", "alike", "held_out", "row", "said"]

LENGTH, LINKS, STEPS = 512, 48, 96
"""Twice round a cycle of 48 records: what was evicted the first time is missed the second time."""
METHODS = ("triattention", "rkv", "snapkv", "streaming", "random", "knorm")


def row(context: Context) -> Outcome:
    """How far each method follows the chain, at budgets of a half, a quarter and an eighth of the prompt."""
    outcome = Outcome()
    seeds = SEEDS[:1] if context.quick else SEEDS
    works = {}
    for seed in seeds:
        model = model_of(seed)
        *first, batch = held_out(seed, context.pick(16, 4))
        calibration = calibrate(model, [torch.cat([b.context, b.tail], 1) for b in first], skip=LENGTH)
        works[seed] = (model, batch, calibration)
    full = {seed: said(*work, None) for seed, work in works.items()}
    right = {seed: work[1].answers[:, 1:] for seed, work in works.items()}
    base = sum(alike(full[seed], right[seed]) for seed in works) / len(works)
    outcome.add(f"chain of {STEPS} steps written by the model itself, full cache", "–", f"{base:.3f} of it right")
    shares: dict[tuple[str, int], float] = {}
    for budget in (256, 128, 64):
        for method in METHODS:
            policy = Policy(bits_k=4, bits_v=4, evict=method, budget=budget, prune_prompt=True, window=8, slack=16,
                            sinks=0, prefix=4 if method == "streaming" else 0)  # fmt: skip
            found = {seed: said(*work, policy) for seed, work in works.items()}
            shares[method, budget] = sum(alike(found[seed], right[seed]) for seed in works) / len(works)
            if method == "triattention":
                steps = STEPS * sum(alike(found[seed], full[seed]) for seed in works) / len(works)
                outcome.detail[f"steps until the text first differs from the full cache's, budget {budget}"] = steps
        lead = shares["triattention", budget] - max(shares["random", budget], shares["streaming", budget])
        others = ", ".join(f"{m} {shares[m, budget]:.3f}" for m in METHODS[1:])
        outcome.add(
            f"the same at a budget of {budget}, K4/V4: triattention (above random and recent by 0.1)",
            "0.1",
            f"{shares['triattention', budget]:.3f}; {others}",
            lead >= 0.1,
        )
    outcome.detail["shares"] = {f"{m} {b}": round(s, 4) for (m, b), s in shares.items()}
    return outcome


def held_out(seed: int, contexts: int) -> list[Batch]:
    """Chains that no model was trained on: two batches to calibrate with, one to be followed."""
    generator = torch.Generator().manual_seed(9_000_017 + seed)
    return [chains(size, LENGTH, LINKS, STEPS, generator) for size in (8, 8, contexts)]


def said(model: Any, batch: Batch, calibration: Calibration | None, policy: Policy | None) -> Tensor:
    """What the model writes greedily after the start of each chain: int64 [contexts, STEPS]."""
    cache = new_cache(model, policy, calibration)
    tokens = []
    with torch.no_grad():
        model(batch.context, past_key_values=cache, use_cache=True, logits_to_keep=1)
        current: Tensor = batch.tail[:, :2]
        for _ in range(STEPS):
            current = model(current, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)
            tokens.append(current)
    if policy is not None:
        cache.report()
    return torch.cat(tokens, 1)


def alike(text: Tensor, other: Tensor) -> float:
    """The mean share of a text before it first differs from the other."""
    return float((text == other).long().cumprod(1).float().mean())
