"""Quantised, nothing evicted, against the full cache: answers and the distributions behind them."""

from __future__ import annotations

import torch
from torch.nn.functional import cosine_similarity, kl_div, log_softmax

from bench.row import Context, Outcome
from swarm_kernels.policy import Policy

from .chain import STEPS, alike, held_out, said
from .harness import SEEDS, ask, exam, model_of

__all__ = ["row"]

LENGTH = 1024


def row(context: Context) -> Outcome:
    """K4/V4 and K4/V3 with no window and no sinks, and 3, 2 bits and KIVI for information."""
    outcome = Outcome()
    models = {seed: model_of(seed) for seed in (SEEDS[:2] if context.quick else SEEDS)}
    exams = {seed: exam(seed, context.pick(8, 2), LENGTH) for seed in models}
    full = {seed: ask(model, exams[seed], None) for seed, model in models.items()}
    base = sum(f.share for f in full.values()) / len(full)
    outcome.add(f"recall of the full cache, {LENGTH} tokens, {len(models)} seeds", "0.99", f"{base:.4f}", base >= 0.99)
    walks = {seed: held_out(seed, context.pick(8, 2))[-1] for seed in models}
    texts = {seed: said(model, walks[seed], None, None) for seed, model in models.items()}
    nothing = {"window": 0, "slack": 1, "sinks": 0}
    policies = {
        "K4/V4": Policy(bits_k=4, bits_v=4, **nothing),
        "K4/V3": Policy(bits_k=4, bits_v=3, **nothing),
        "K3/V3": Policy(bits_k=3, bits_v=3, **nothing),
        "K2/V2": Policy(bits_k=2, bits_v=2, **nothing),
        "KIVI K2/V2, groups of 32": Policy(quantizer="kivi", bits_k=2, bits_v=2, window=0, slack=32, sinks=0),
    }
    targets = {"K4/V4": 0.005, "K4/V3": 0.01}
    for name, policy in policies.items():
        found = {seed: ask(model, exams[seed], policy) for seed, model in models.items()}
        share = sum(f.share for f in found.values()) / len(found)
        divergence = sum(
            float(
                kl_div(
                    log_softmax(found[seed].logits, -1), log_softmax(full[seed].logits, -1), log_target=True,
                    reduction="none",
                ).sum(-1).mean()
            )
            for seed in models
        ) / len(models)  # fmt: skip
        cosine = sum(
            float(cosine_similarity(found[seed].logits, full[seed].logits, dim=-1).mean()) for seed in models
        ) / len(models)
        steps = STEPS * sum(
            alike(said(model, walks[seed], None, policy), texts[seed]) for seed, model in models.items()
        ) / len(models)  # fmt: skip
        ratio = next(iter(found.values())).ratio
        target = targets.get(name)
        passed = None if target is None else base - share <= target and (name != "K4/V4" or divergence < 0.01)
        outcome.add(
            f"{name}: points below the full cache; KL; bytes; cosine of logits; steps of {STEPS} as its text",
            "–" if target is None else f"{100 * target:.1f}" + ("; .01" if name == "K4/V4" else ""),
            f"{100 * (base - share):.2f}; {divergence:.5f}; {ratio:.2f}x fewer; {cosine:.5f}; {steps:.1f}",
            passed,
        )
        outcome.detail[name] = {"share": share, "kl": divergence, "ratio": ratio, "cosine": cosine, "steps": steps,
                                "quantised": sum(f.quantised for f in found.values())}  # fmt: skip
    outcome.detail["answers"] = sum(int(torch.tensor(f.right.shape).prod()) for f in full.values())
    return outcome
