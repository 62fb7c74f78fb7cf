"""The protocol holds in every state within bounds, and each guard is needed."""

from __future__ import annotations

import pytest

from .model import Bounds, Model, Rules, Violation

LEASES = Bounds(sessions=3, grants=2, edits=2, losses=0)
LOSS = Bounds(sessions=3, grants=2, edits=1, losses=1)
CALLS = Bounds(sessions=3, grants=0, edits=2, losses=0, calls=True)


@pytest.mark.parametrize(("bounds", "states"), [(LEASES, 40_262), (LOSS, 4_901), (CALLS, 23_997)])
def test_every_state_keeps_the_invariants(bounds: Bounds, states: int) -> None:
    """Three sessions, a line: no trace breaks I1, I1b, I2, I3, I4, I6 or I8; the search is as large as it was."""
    assert Model(bounds=bounds).explore() == states


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_every_state_of_a_longer_story_keeps_the_invariants() -> None:
    """Three grants, two edits and a lost directory among three sessions."""
    assert Model(bounds=Bounds(sessions=3, grants=3, edits=2, losses=1)).explore() > 500_000


@pytest.mark.parametrize(
    ("missing", "broken"),
    [
        ("base", "I2"),
        ("swap", "I2"),
        ("bump", "I3"),
        ("generation", "I3"),
        ("fence", "I1"),
        ("exclusive", "I1"),
        ("owner", "I1b"),
        ("again", "I1b"),
        ("seen_first", "I4"),
        ("lookup", "I6"),
        ("lapse", "I8"),
    ],
)
def test_without_a_guard_an_invariant_breaks(missing: str, broken: str) -> None:
    """Each guard of the protocol, taken away alone, and the first invariant that the search finds broken."""
    bounds = CALLS if missing == "seen_first" else Bounds(sessions=2, grants=2, edits=2, losses=1)
    with pytest.raises(Violation) as caught:
        Model(Rules(**{missing: False}), bounds).explore()
    assert caught.value.name == broken
    assert caught.value.trace


def test_every_guard_of_the_model_is_taken_away_by_a_test() -> None:
    """None is forgotten."""
    taken = [mark.args[1] for mark in test_without_a_guard_an_invariant_breaks.pytestmark]  # type: ignore[attr-defined]
    assert {name for name, _ in taken[0]} == set(Rules.__dataclass_fields__)
