"""A chain that the model writes itself, pruned and quantised while it is written."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from bench.row import Context, Outcome
from swarm_kernels.attention import NAME
from swarm_kernels.cache import CompressedCache
from swarm_kernels.calibration import Calibration, calibrate
from swarm_kernels.policy import Policy

from .harness import SEEDS, model_of
from .task import Batch, chains

__all__ = ["row"]

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
        generator = torch.Generator().manual_seed(9_000_017 + seed)
        held_out = [chains(8, LENGTH, LINKS, STEPS, generator) for _ in range(2)]
        calibration = calibrate(model, [torch.cat([b.context, b.tail], 1) for b in held_out], skip=LENGTH)
        works[seed] = (model, chains(context.pick(16, 4), LENGTH, LINKS, STEPS, generator), calibration)
    full = [followed(*work, None) for work in works.values()]
    base = sum(share for share, _ in full) / len(full)
    outcome.add(f"chain of {STEPS} steps written by the model itself, full cache", "–", f"{base:.3f} of it right")
    shares: dict[tuple[str, int], float] = {}
    for budget in (256, 128, 64):
        for method in METHODS:
            policy = Policy(bits_k=4, bits_v=4, evict=method, budget=budget, prune_prompt=True, window=8, slack=16,
                            sinks=0, prefix=4 if method == "streaming" else 0)  # fmt: skip
            found = [followed(*work, policy) for work in works.values()]
            shares[method, budget] = sum(share for share, _ in found) / len(found)
            if method == "triattention":
                before = sum(float(n) for _, n in found) / len(found)
                outcome.detail[f"steps until the text first differs from the full cache's, budget {budget}"] = before
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


def followed(model: Any, batch: Batch, calibration: Calibration, policy: Policy | None) -> tuple[float, float]:
    """(mean share of the chain before its first error, mean steps before the text leaves the right one)."""
    if policy is None:
        model.set_attn_implementation("sdpa")
        cache: Any = DynamicCache(config=model.config)
    else:
        model.set_attn_implementation(NAME)
        cache = CompressedCache(model, policy, calibration)
    said = []
    with torch.no_grad():
        model(batch.context, past_key_values=cache, use_cache=True, logits_to_keep=1)
        current: Tensor = batch.tail[:, :2]
        for _ in range(STEPS):
            current = model(current, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)
            said.append(current)
    model.set_attn_implementation(NAME)
    if policy is not None:
        cache.report()
    right = torch.cat(said, 1) == batch.answers[:, 1:]
    until = right.long().cumprod(1).sum(1).float()
    return float((until / STEPS).mean()), float(until.mean())
