"""Seeded stories of agents, kills and power losses over the shipped code; and the shipped code without each guard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import mutants
from .mutants import GUARDS, without
from .simulator import FSYNCS, run_many, run_seed, templates

NAMED = {
    "base": 61,
    "branch compared": 0,
    "leases when deciding": 2,
    "leases when moving": 2,
    "owner": 5,
    "fence": 2,
    "request looked up": 14,
    "live lease": 22,
    "overlap": 22,
    "epoch": 0,
    "generation raised": 0,
    "reading noted": 1,
    "lapsed lease ends": 0,
    "pack": 6,
    "idx": 6,
    "keep": 6,
    "pack-directory": 10,
    "ref-directory": 10,
    "generation": 17,
    "generation-directory": 25,
}
"""A seed that fails where this guard or fsync is missing. `python -m tests.swarm.mutants` finds others."""


@pytest.fixture(scope="module")
def template() -> Iterator[str]:
    """A ledger to begin from."""
    with templates() as made:
        yield made


@pytest.mark.parametrize("hundred", [0, 1, 2])
def test_a_hundred_seeds_keep_the_invariants(hundred: int) -> None:
    """Reads, leases, edits, kills, a lost directory, another git, power loss: I1 to I8 hold in each."""
    assert run_many(100 * hundred, 100 * hundred + 100, workers=1) == {}


@pytest.mark.parametrize("missing", NAMED)
def test_without_a_guard_or_an_fsync_a_seed_fails(missing: str, template: str) -> None:
    """The seed that is named for it; or another, where a change of the code has shifted the stories."""
    assert run_seed(NAMED[missing], template) is None
    with without(missing) as skip:
        found = run_seed(NAMED[missing], template, skip)
    assert found or mutants.find(missing, 200, template)


def test_each_guard_and_fsync_has_a_seed() -> None:
    """None is forgotten."""
    assert set(NAMED) == {*GUARDS, *FSYNCS}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_keep_the_invariants() -> None:
    """The same, for as long as it takes."""
    assert run_many(0, 10_000) == {}


@pytest.mark.parametrize("seed", [4365, 4748])
def test_seeds_that_once_failed_hold(seed: int, template: str) -> None:
    """A request in history whose lease ended since stops no leader; a lost compare-and-swap leaves no lock on disk."""
    assert run_seed(seed, template) is None
