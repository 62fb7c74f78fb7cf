"""The shipped code without one of its guards or fsyncs, for the simulator to find."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from swarm.reader import Reader
from swarm_ledger import coherence, decide, leader, leasefile, refs
from swarm_ledger.coherence import Lease
from swarm_ledger.decide import Draft
from swarm_ledger.env import Env
from swarm_ledger.state import State
from swarm_ledger.store import Append, Delete, Put, Version

from .simulator import FSYNCS

Patch = contextlib.AbstractContextManager[Any]


def _base() -> Patch:
    """An update lands whatever version it names."""

    def apply(self: Draft, op: Put | Delete | Append) -> tuple[str, Version | None]:
        return kept(self, op if isinstance(op, Append) else op._replace(base=self.version(op.path)))  # type: ignore[arg-type]

    kept = Draft._apply_op
    return mock.patch.object(Draft, "_apply_op", apply)


def _swap() -> Patch:
    """The branch moves from wherever it is."""

    def move(ledger: str, keep: str, old: str | None, env: Env) -> bool:
        return kept(ledger, keep, refs.read(ledger), env)

    kept = refs.move
    return mock.patch.object(refs, "move", move)


def _fences(*, lines: bool, tokens: bool) -> Patch:
    def check(table: Any, asked: Any, session: str, shown: Sequence[Any], now: float) -> None:
        if lines:  # whoever shows a token is no stranger to the line
            asked = [line for line in asked if line not in {token.line for token in shown}]
        kept(table, asked if lines else [], session, shown if tokens else [], now)

    kept = coherence.check_fences
    return mock.patch.object(decide, "check_fences", check)


def _generation() -> Patch:
    """A directory that was lost begins with the numbers of the one before."""

    def generation(self: leasefile.LeaseFile, db: Any) -> int:
        row = db.execute("SELECT boot FROM meta").fetchone()
        if row is None or row[0] != self._env.boot():
            db.execute("DELETE FROM leases")
            db.execute("DELETE FROM meta")
            db.execute("INSERT INTO meta VALUES (1, ?, 0)", (self._env.boot(),))
        return 1

    return mock.patch.object(leasefile.LeaseFile, "_generation", generation)


@contextlib.contextmanager
def _again(self: Any, batch: Any, outcomes: Mapping[str, Any], chain: Any) -> Iterator[None]:
    yield


GUARDS: dict[str, Callable[[], Patch]] = {
    "base": _base,
    "branch compared": _swap,
    "leases when deciding": lambda: mock.patch.object(leader.Leader, "_denied", lambda self, batch: {}),
    "leases when moving": lambda: mock.patch.object(leader.Leader, "_leases_as_decided", _again),
    "owner": lambda: _fences(lines=False, tokens=True),
    "fence": lambda: _fences(lines=True, tokens=False),
    "request looked up": lambda: mock.patch.object(State, "request", lambda self, request: None),
    "live lease": lambda: mock.patch.object(coherence, "_others", lambda table, line, me: []),
    "overlap": lambda: mock.patch.object(coherence, "overlap", lambda a, b: a == b),
    "epoch": lambda: mock.patch.object(leasefile._Rows, "next_epoch", lambda self: 1),
    "generation raised": _generation,
    "reading noted": lambda: mock.patch.object(Reader, "show", lambda self, id: self._document(id)),
    "lapsed lease ends": lambda: mock.patch.object(Lease, "live", lambda self, now: self.session is not None),
}
"""Guard → takes it away."""


@contextlib.contextmanager
def without(name: str) -> Iterator[frozenset[str]]:
    """The shipped code without the guard or fsync `name`: the fsyncs to leave out."""
    if name in FSYNCS:
        yield frozenset({name})
        return
    with GUARDS[name]():
        yield frozenset()


def find(name: str, last: int, template: str) -> tuple[int, str] | None:
    """The first seed below `last` that finds the absence of `name`, and what it says."""
    from .simulator import run_seed

    with without(name) as skip:
        for seed in range(last):
            wrong = run_seed(seed, template, skip)
            if wrong:
                return seed, wrong
    return None


if __name__ == "__main__":
    import sys

    from .simulator import templates

    with templates() as made:
        for one in sys.argv[1:] or [*GUARDS, *FSYNCS]:
            print(f"{one}: {find(one, 400, made)}", flush=True)
    os._exit(0)
