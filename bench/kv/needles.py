"""One record asked about at the start, in the middle and at the end, the question unseen and seen by compression."""

from __future__ import annotations

from bench.row import Context, Outcome

from .harness import SEEDS, ask, calibration_of, exam, model_of
from .recall import policy_of

__all__ = ["row"]

LENGTH = 512


def row(context: Context) -> Outcome:
    """triattention + K4/V4 at 10 % of the tokens, SnapKV at the same for comparison."""
    outcome = Outcome()
    seeds = SEEDS[:2] if context.quick else SEEDS
    budget = LENGTH // 10
    for seen in (False, True):
        for name, method in (("triattention + K4/V4", "triattention"), ("snapkv + K4/V4", "snapkv")):
            shares = {}
            for place in ("start", "middle", "end"):
                found, full = [], []
                for seed in seeds:
                    model = model_of(seed)
                    questions = exam(seed, context.pick(32, 8), LENGTH, place)
                    calibration = calibration_of(model, LENGTH)
                    full.append(ask(model, questions, None).share)
                    found.append(ask(model, questions, policy_of(method, budget, 4), calibration, seen).share)
                shares[place] = (sum(found) / len(found), sum(full) / len(full))
            outcome.add(
                f"needle at start, middle, end; question {'seen' if seen else 'unseen'}; {name}, 10 % kept",
                "–",
                ", ".join(f"{got:.3f}" for got, _ in shares.values())
                + f" (full {', '.join(f'{full:.3f}' for _, full in shares.values())})",
            )
            outcome.detail[f"{name} {'seen' if seen else 'unseen'}"] = shares
    return outcome
