"""What flushing costs: scoring, pruning and quantising, against the decode steps they are spread over."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from bench.row import Context, Outcome
from swarm_kernels.calibration import calibrate
from swarm_kernels.policy import Policy

from .harness import new_cache
from .model import untrained

__all__ = ["row"]


def row(context: Context) -> Outcome:
    """Decoding with a budget of 1,024 tokens and the default window; steps with a flush against those without."""
    outcome = Outcome()
    model: Any = untrained(layers=8, width=1024, inner=2816, heads=16, kv_heads=4, d=64)
    ids = torch.randint(1, 1024, (1, 1100), generator=torch.Generator().manual_seed(0))
    calibration = calibrate(model, [ids[:, :256]])
    policy = Policy(bits_k=4, bits_v=4, evict="triattention", budget=1024, prune_prompt=True, window=128, slack=64)
    cache = new_cache(model, policy, calibration)
    plain, flushing = [], []
    with torch.no_grad():
        model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = ids[:, -1:]
        for _ in range(64 * context.pick(5, 2)):
            before, began = cache.layers[0].counts.flushes, time.perf_counter()
            model(token, past_key_values=cache, use_cache=True)
            spent = time.perf_counter() - began
            (flushing if cache.layers[0].counts.flushes > before else plain).append(spent)
    step, flush = statistics.median(plain), statistics.median(flushing)
    share = (flush - step) / policy.slack / step
    cache.report()
    outcome.add(
        "flush (score, prune, quantise), spread over the 64 steps between flushes, of a decode step, CPU",
        "15 %",
        f"{share:.1%} (step {1e3 * step:.1f} ms, step with flush {1e3 * flush:.1f} ms, {len(flushing)} flushes)",
        share < 0.15,
    )
    return outcome
