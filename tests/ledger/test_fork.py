"""Where two commits parted, held against sets of ancestors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarm_ledger.fork import BOTH, OURS, THEIRS, Node, fork
from swarm_ledger.store import CommitId


def node(name: str, *parents: str) -> Node:
    return Node(CommitId(name), tuple(CommitId(parent) for parent in parents))


def ids(nodes: list[Node]) -> list[str]:
    return [one.id for one in nodes]


def test_a_simple_fork() -> None:
    """What is behind the common commit is not looked at."""
    graph = [node("x", "b"), node("y2", "y1"), node("y1", "b"), node("b", "a"), node("a")]
    found = fork(iter(graph), CommitId("x"), CommitId("y2"))
    assert ids(found.nodes) == ["y1", "y2", "x"]
    assert (found.only(OURS), found.only(THEIRS)) == (1, 2)


def test_one_that_is_behind_the_other() -> None:
    """A fast-forward: nothing is only ours."""
    found = fork([node("c", "b"), node("b", "a"), node("a")], CommitId("a"), CommitId("c"))
    assert (ids(found.nodes), found.only(OURS), found.only(THEIRS)) == (["b", "c"], 0, 2)


def test_a_third_that_parted_earlier_is_gone_back_to() -> None:
    """`w` came from before the common commit `b`, so `b` is no ground that all stand on; `a` is."""
    graph = [node("x", "b"), node("m", "b", "w"), node("b", "a"), node("w", "a"), node("a", "r"), node("r")]
    assert ids(fork(graph, CommitId("x"), CommitId("m")).nodes) == ["w", "b", "m", "x"]


def test_one_that_began_apart_leaves_no_common_ground() -> None:
    """`w` has no parent: everything is read."""
    graph = [node("x", "b"), node("m", "b", "w"), node("w"), node("b", "a"), node("a")]
    assert ids(fork(graph, CommitId("x"), CommitId("m")).nodes) == ["a", "b", "w", "m", "x"]


@given(st.lists(st.lists(st.integers(0, 30), max_size=2, unique=True), min_size=2, max_size=12), st.data())
def test_any_graph(parents: list[list[int]], data: st.DataObject) -> None:
    """The commits read hold all that is not common, are closed upwards, and lead to one commit or are all there is."""
    graph = {f"{n:02d}": sorted({f"{p % n:02d}" for p in some}) if n else [] for n, some in enumerate(parents)}

    def known(name: str) -> set[str]:
        return {name}.union(*(known(parent) for parent in graph[name]))

    ours, theirs = (CommitId(data.draw(st.sampled_from(sorted(graph)))) for _ in range(2))
    whole = known(ours) | known(theirs)
    children_first = [node(name, *graph[name]) for name in sorted(whole, reverse=True)]
    found = fork(children_first, ours, theirs)
    told = set(ids(found.nodes))
    assert ids(found.nodes) == sorted(told)
    for name in told:
        assert found.side[CommitId(name)] == OURS * (name in known(ours)) + THEIRS * (name in known(theirs))
    assert known(ours) ^ known(theirs) <= told
    left = whole - told
    grounds = [name for name in whole if left == known(name) and all(name in known(one) for one in told)]
    assert grounds or left == set()
    assert found.only(BOTH) + found.only(OURS) + found.only(THEIRS) == len(told)
