"""Where two commits parted: pure, over the graph of commits.

git's own ranges (`a..b`, `a...b`) stop early by the dates of commits, and the clocks of hosts and agents disagree; so
the graph is walked here, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .store import CommitId

__all__ = ["BOTH", "OURS", "THEIRS", "Fork", "Node", "fork"]

OURS, THEIRS, BOTH = 1, 2, 3
"""Who has a commit, as bits."""


class Node(NamedTuple):
    """A commit of the graph."""

    id: CommitId
    parents: tuple[CommitId, ...]


class Fork(NamedTuple):
    """`nodes`, parents first, are the commits of both back to one, left out, that all of them descend from and that
    all others are ancestors of; or all commits, where there is none. `side` says who has each."""

    nodes: list[Node]
    side: dict[CommitId, int]

    def only(self, side: int) -> int:
        """How many commits only one side has."""
        return sum(self.side[node.id] == side for node in self.nodes)


def fork(graph: Iterable[Node], ours: CommitId, theirs: CommitId) -> Fork:
    """Where `ours` and `theirs` parted. `graph` is what both descend from, themselves included, children first; it is
    read only as far as needed."""
    side = {ours: OURS}
    side[theirs] = side.get(theirs, 0) | THEIRS
    pending = {ours, theirs}
    nodes = []
    began = False
    for node in graph:
        # When all that was read leads to this commit alone, all that was not read is behind it.
        if pending == {node.id} and side[node.id] == BOTH and not began:
            break
        pending.discard(node.id)
        nodes.append(node)
        began = began or not node.parents
        for parent in node.parents:
            side[parent] = side.get(parent, 0) | side[node.id]
            pending.add(parent)
    nodes.reverse()
    return Fork(nodes, side)
