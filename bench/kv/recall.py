"""Recall when the question is not known at compression time, at equal kept share and at equal bytes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import Tensor

from bench.row import Context, Outcome
from swarm_kernels.policy import Policy

from . import peers
from .harness import RECORDS, SEEDS, ask, calibration_of, exam, interval, model_of
from .plot import curves

__all__ = ["composed_row", "row"]

LENGTH = 512
KEPT = (0.5, 0.25, 0.1, 0.05)
METHODS = ("triattention", "snapkv", "pyramidkv", "rkv", "streaming", "random", "knorm")
Rights = dict[int, Tensor]


def policy_of(method: str, budget: int, bits: int | None = None, prefix: int = 0) -> Policy:
    """Pruning of the prompt with no window, so that the budget is all there is."""
    return Policy(bits_k=bits, bits_v=bits, evict=method, budget=budget, prune_prompt=True, window=0, slack=1, sinks=0,
                  prefix=prefix)  # fmt: skip


def row(context: Context) -> Outcome:
    """Against every method of kvpress and our own baselines, five seeds, paired by context."""
    outcome = Outcome()
    seeds = SEEDS[:2] if context.quick else SEEDS
    contexts = context.pick(16, 3)
    exams = {seed: exam(seed, contexts, LENGTH) for seed in seeds}
    answers = len(exams) * contexts * RECORDS
    outcome.add("seeds of the recall model", "5", str(len(exams)), len(exams) >= 5)
    theirs, errors = peers.run([peers.Task(str(s), s, e, list(KEPT)) for s, e in exams.items()])
    peer: dict[tuple[str, float], Rights] = defaultdict(dict)
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    nbytes: dict[tuple[str, float], float] = {}
    for p in theirs:
        peer[p.method, p.kept][int(p.key)] = p.right
        nbytes[p.method, p.kept] = p.nbytes
    ours: dict[tuple[str, float], Rights] = defaultdict(dict)
    full: list[float] = []
    for seed, questions in exams.items():
        model = model_of(seed)
        full.append(ask(model, questions, None).share)
        calibrations = {True: calibration_of(model, LENGTH), False: calibration_of(model, LENGTH, False)}
        for kept in KEPT:
            budget = int(LENGTH * kept)
            for method in METHODS:
                got = ask(model, questions, policy_of(method, budget, prefix=4 if method == "streaming" else 0),
                          calibrations[True])  # fmt: skip
                ours[method, kept][seed], nbytes[method, kept] = got.right, got.nbytes
            got = ask(model, questions, policy_of("triattention", budget), calibrations[False])
            ours["triattention, calibrated on contexts only", kept][seed] = got.right
            got = ask(model, questions, policy_of("triattention", budget, 4), calibrations[True])
            ours["triattention + K4/V4", kept][seed], nbytes["triattention + K4/V4", kept] = got.right, got.nbytes
    outcome.add(f"full cache, {answers} answers", "0.99", f"{sum(full) / len(full):.4f}", sum(full) / len(full) >= 0.99)
    for kept in KEPT:
        complete = {m: r for (m, k), r in peer.items() if k == kept and len(r) == len(exams)}
        best = max(complete, key=lambda m: mean(complete[m]))
        mine = ours["triattention", kept]
        gap, low, high = interval([mine[s] for s in exams], [complete[best][s] for s in exams])
        target = {0.25: "not worse", 0.1: "not worse", 0.05: "better"}.get(kept, "–")
        passed = None if kept == 0.5 else low > 0 if kept == 0.05 else gap >= 0
        outcome.add(
            f"question unseen, {kept:.0%} kept: triattention against kvpress's best ({best})",
            target,
            f"{mean(mine):.3f} against {mean(complete[best]):.3f}; difference {gap:+.3f} [{low:+.3f}, {high:+.3f}]",
            passed,
        )
        second = mean(ours["triattention, calibrated on contexts only", kept])
        outcome.add(f"… calibrated on texts without questions, {kept:.0%}", "–", f"{second:.3f}")
    table = {f"{m} {k}": round(mean(r), 4) for (m, k), r in {**ours, **peer}.items()}
    outcome.detail.update(answers=answers, table=table, full=full, not_run=errors,
                          nbytes={f"{m} {k}": round(b) for (m, k), b in nbytes.items()})  # fmt: skip
    for (m, k), r in [*ours.items(), *peer.items()]:
        if (m, k) in nbytes and len(r) == len(exams):
            points[m if (m, k) in ours else f"kvpress {m}"].append((nbytes[m, k], mean(r)))
    curves(points, f"recall, question unseen, {answers} answers, {LENGTH} tokens", ".bench/kv-recall.png")
    return outcome


def composed_row(context: Context) -> Outcome:
    """Pruned and quantised together at 16 and 30 times fewer bytes, against every method at those bytes."""
    outcome = Outcome()
    length, contexts, records = 1024, context.pick(6, 2), 2 * RECORDS
    seeds = SEEDS[:2] if context.quick else SEEDS
    exams = {seed: exam(seed, contexts, length, records=records) for seed in seeds}
    times = (16, 30)
    # A method that keeps bfloat16 keeps 1/16 and 1/30 of the tokens.
    theirs, errors = peers.run([peers.Task(str(s), s, e, [1 / t for t in times]) for s, e in exams.items()])
    detail: dict[str, Any] = {"not_run": errors}
    for fewer in times:
        by_method: dict[str, Rights] = defaultdict(dict)
        for p in theirs:
            if p.kept == 1 / fewer:
                by_method[p.method][int(p.key)] = p.right
        complete = {m: r for m, r in by_method.items() if len(r) == len(exams)}
        best = max(complete, key=lambda m: mean(complete[m]))
        composed: Rights = {}
        pruned: Rights = {}
        smallest = float("inf")
        # 32 dimensions: 18 bytes for a key, 18 for a value, 2 for a position; a full token takes 128.
        budget = int((length * 128 / fewer - 8) / 38)
        for seed, questions in exams.items():
            model = model_of(seed)
            calibration = calibration_of(model, length)
            got = ask(model, questions, policy_of("triattention", budget, 4), calibration)
            composed[seed], smallest = got.right, min(smallest, got.ratio)
            pruned[seed] = ask(model, questions, policy_of("triattention", length // fewer), calibration).right
        gap, low, high = interval([composed[s] for s in exams], [complete[best][s] for s in exams])
        outcome.add(
            f"{smallest:.1f}x fewer bytes, {length} tokens, {records} records, no window: "
            "triattention + K4/V4 against best of kvpress "
            f"({best})",
            "better",
            f"{mean(composed):.3f} against {mean(complete[best]):.3f}; {gap:+.3f} [{low:+.3f}, {high:+.3f}]",
            gap > 0 and low > 0 and smallest >= fewer,
        )
        outcome.add(f"… pruned only at {fewer}x", "–", f"{mean(pruned):.3f}")
        detail[str(fewer)] = {"composed": mean(composed), "pruned": mean(pruned), "ratio": smallest, "budget": budget,
                              **{m: mean(r) for m, r in complete.items()}}  # fmt: skip
    alone: Rights = {}
    three: dict[str, Rights] = {"composed": {}, "pruned": {}}
    everything = Policy(bits_k=2, bits_v=2, window=0, slack=1, sinks=0)
    for seed, questions in exams.items():
        model = model_of(seed)
        calibration = calibration_of(model, length)
        got = ask(model, questions, everything)
        alone[seed] = got.right
        for name, per_token, bits in (("composed", 38, 4), ("pruned", 130, None)):
            budget = int((length * 128 / got.ratio - 8) / per_token)
            three[name][seed] = ask(model, questions, policy_of("triattention", budget, bits), calibration).right
    outcome.add(
        f"{got.ratio:.2f}x fewer bytes: K2/V2 with nothing evicted; pruned in bfloat16; pruned in K4/V4",
        "–",
        f"{mean(alone):.3f}; {mean(three['pruned']):.3f}; {mean(three['composed']):.3f}",
    )
    detail["answers"] = len(exams) * contexts * records
    outcome.detail.update(detail)
    return outcome


def mean(rights: Rights) -> float:
    """The share right over all seeds."""
    return sum(float(r.float().mean()) for r in rights.values()) / len(rights)
