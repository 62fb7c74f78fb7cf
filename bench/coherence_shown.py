"""How coherence is shown: every state of the model and its mutants, ten thousand seeded stories of the shipped code."""

from __future__ import annotations

import time

from tests.ledger.model import Bounds, Model, Rules, Violation
from tests.ledger.test_model import CALLS, LEASES, LOSS
from tests.swarm import mutants, simulator

from .row import Context, Outcome

__all__ = ["model", "simulate"]


def model(context: Context) -> Outcome:
    """A breadth-first search with three sessions; then each guard is taken away."""
    out = Outcome()
    states, broken = 0, []
    for bounds in (LEASES, LOSS, CALLS):
        try:
            states += Model(bounds=bounds).explore()
        except Violation as found:
            broken.append(str(found))
    passed = []
    small = Bounds(sessions=2, grants=2, edits=2, losses=1)
    for guard in Rules.__dataclass_fields__:
        try:
            Model(Rules(**{guard: False}), CALLS if guard == "seen_first" else small).explore()
            passed.append(guard)
        except Violation:
            pass
    out.detail = {"states": states, "violations": broken, "mutants": list(Rules.__dataclass_fields__), "passed": passed}
    out.add(f"model, 3 sessions: violations in {states:,} states", "0", str(len(broken)), not broken)
    mutated = len(Rules.__dataclass_fields__)
    out.add(f"mutants of the model that pass, of {mutated}", "0", str(len(passed)), not passed)
    return out


def simulate(context: Context) -> Outcome:
    """Seeds 0 to 9,999 by `make simulate`'s code; then each guard and fsync of the shipped code is taken away."""
    seeds = context.pick(10_000, 200)
    began = time.monotonic()
    failed = simulator.run_many(0, seeds)
    took = time.monotonic() - began
    missing = [*mutants.GUARDS, *simulator.FSYNCS]
    with simulator.templates() as template:
        found = {name: mutants.find(name, 200, template) for name in missing}
    unseen = [name for name, seed in found.items() if seed is None]
    out = Outcome(detail={"seeds": seeds, "failed": failed, "seconds": took, "mutants": found})
    out.add(f"simulator: violations in {seeds:,} seeds ({took:.0f} s)", "0", str(len(failed)), not failed)
    out.add(f"guards and fsyncs, of {len(missing)}, whose absence no seed finds", "0", str(len(unseen)), not unseen)
    return out
