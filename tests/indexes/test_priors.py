"""Where a hit stands after what speaks for and against it beside the question."""

from __future__ import annotations

import pytest

from swarm_indexes.hits import Hit
from swarm_indexes.priors import Uses, placed, strength
from swarm_ledger.standing import Standing

NOW = 1_795_258_443.0
DAY_S = 86_400.0


def hit(id: str, score: float | None, superseded_by: tuple[str, ...] = ()) -> Hit:
    return Hit(
        *(id, "fact", id, "ada", "2026-11-21T10:54:03Z", None, f"facts/{id}.md", "0" * 40, score, ""),
        *(None, (), None, None, (), superseded_by, True),
        shares={"around": 1.0},
    )


def order(hits: list[Hit]) -> list[str]:
    return [one.id for one in hits]


@pytest.mark.parametrize(
    ("number", "days", "expected"),
    [(1, 0.0, 1.1), (1, 7.0, 0.55), (1, 14.0, 0.275), (3, 0.0, 1.2), (15, 7.0, 0.7), (1, -1.0, 1.1)],
)
def test_a_strength_halves_in_seven_days_and_grows_by_a_tenth_with_each_doubling(
    number: int, days: float, expected: float
) -> None:
    """A use that a clock puts into the future is one of now."""
    assert strength(Uses(number, NOW - days * DAY_S), NOW) == pytest.approx(expected)


def test_without_uses_and_doubts_hits_are_as_they_were() -> None:
    """Equal, scores and shares included."""
    hits = [hit("a", 0.4), hit("b", 0.4), hit("c", 1e-9)]
    assert placed(hits, {}, {}, NOW) == hits


def test_use_only_moves_what_is_near() -> None:
    """0.20 goes before 0.21, not before 0.24; the part is named."""
    found = placed([hit("a", 0.24), hit("b", 0.21), hit("c", 0.20)], {"c": Uses(1, NOW)}, {}, NOW)
    assert order(found) == ["a", "c", "b"]
    assert found[1].shares == {"around": 1.0, "use": 0.11}
    assert found[1].score == pytest.approx(0.2182, abs=1e-4)


@pytest.mark.parametrize(
    ("standing", "parts"),
    [
        (Standing("changed"), {"evidence_changed": -0.7}),
        (Standing("gone"), {"evidence_gone": -0.7}),
        (Standing("fresh", ("fact-x",)), {"contested": -0.7}),
        (Standing("gone", ("fact-x",)), {"evidence_gone": -0.7, "contested": -0.7}),
        (Standing(contested=("contested-x",)), {"contested": -0.7}),
        (Standing("fresh", ("fact-x",), contested=("contested-x", "contested-y")), {"contested": -0.7}),
    ],
)
def test_a_fact_in_doubt_has_half_the_odds_and_is_not_hidden(standing: Standing, parts: dict[str, float]) -> None:
    """Behind a sound one that is nearly as good, before one that is far worse; marked, with a part for each doubt."""
    found = placed([hit("a", 0.4), hit("b", 0.39), hit("c", 0.05)], {}, {"a": standing}, NOW)
    assert order(found) == ["b", "a", "c"]
    assert found[1].standing == standing and standing.doubtful
    assert found[1].shares == {"around": 1.0, **parts}


@pytest.mark.parametrize("evidence", ["", "fresh", "moved", "uncheckable"])
def test_evidence_that_is_unchanged_or_out_of_reach_is_no_doubt(evidence: str) -> None:
    """Nor is it that a fact is no longer valid: whoever asks for it may mean that time."""
    standing = Standing(evidence, (), expired=True)
    found = placed([hit("a", 0.4)], {}, {"a": standing}, NOW)
    assert not standing.doubtful
    assert (found[0].score, found[0].shares) == (0.4, {"around": 1.0})


def test_what_was_superseded_stays_behind_what_took_its_place() -> None:
    """However much it was used, and though its successor is in doubt."""
    hits = [hit("new", 0.3), hit("old", 0.6, ("new",)), hit("other", 0.29)]
    found = placed(hits, {"old": Uses(99, NOW)}, {"new": Standing("changed")}, NOW)
    assert order(found) == ["other", "new", "old"]


def test_a_list_of_the_newest_stays_one() -> None:
    """Hits without a score are marked, and keep their places."""
    found = placed([hit("a", None), hit("b", None)], {"b": Uses(9, NOW)}, {"a": Standing("gone")}, NOW)
    assert order(found) == ["a", "b"]
    assert found[0].standing == Standing("gone")
    assert found[0].shares == {"around": 1.0}


def test_a_page_that_is_a_mere_name_comes_behind_what_says_something() -> None:
    """With a quarter of its odds; one with a text does not."""
    bare = hit("bare", 0.3)._replace(kind="entity")
    found = placed([bare, hit("fact", 0.15)], {}, {}, NOW)
    assert (order(found), found[1].shares["bare_page"]) == (["fact", "bare"], -1.4)
    told = bare._replace(snippet="Logs people in.")
    assert placed([told, hit("fact", 0.15)], {}, {}, NOW)[0] == told
