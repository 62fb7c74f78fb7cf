"""Hosts that write and merge in memory, for the tests of merging; and the slow, obvious version of a merge.

A commit is a plain record with its whole tree. `World.merge` goes through `lineage.join`; `expected` works out a
tree from the set of all writes alone, with sets, from the beginning of history, and knows of no merges.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from swarm_ledger.contested import Side, contested, contested_path
from swarm_ledger.lineage import Step, join
from swarm_ledger.merge import merge
from swarm_ledger.objects import blob_id
from swarm_ledger.store import BlobId, CommitId

Tree = dict[str, BlobId]
Writes = dict[str, tuple[BlobId | None, BlobId | None]]


@dataclass(frozen=True)
class Record:
    """A commit, its tree, and what it wrote; nothing where it is a merge."""

    id: CommitId
    parents: tuple[CommitId, ...]
    by: str
    at: int
    writes: Writes
    tree: Tree


@dataclass
class World:
    """Every commit and text of all hosts."""

    commits: dict[CommitId, Record] = field(default_factory=dict)
    """In the order in which they were made: parents first."""
    blobs: dict[BlobId, bytes] = field(default_factory=dict)

    def blob(self, text: bytes) -> BlobId:
        self.blobs[blob_id(text)] = text
        return blob_id(text)

    def _add(self, parents: tuple[CommitId, ...], by: str, writes: Writes, tree: Tree, at: int) -> CommitId:
        seed = f"{len(self.commits)} {parents} {by} {sorted(writes.items())}"
        id = CommitId(blob_id(seed.encode()))
        self.commits[id] = Record(id, parents, by, at, writes, tree)
        return id

    def write(self, tip: CommitId | None, by: str, texts: dict[str, bytes | None], at: int) -> CommitId:
        """`by` writes `texts` on `tip`."""
        tree = dict(self.commits[tip].tree) if tip else {}
        writes: Writes = {}
        for path, text in texts.items():
            new = None if text is None else self.blob(text)
            if tree.get(path) != new:
                writes[path] = (tree.get(path), new)
            if new is None:
                tree.pop(path, None)
            else:
                tree[path] = new
        return self._add((tip,) if tip else (), by, writes, tree, at)

    def known(self, *tips: CommitId) -> set[CommitId]:
        """The commits that `tips` descend from, themselves included."""
        out: set[CommitId] = set()
        todo = list(tips)
        while todo:
            id = todo.pop()
            if id not in out:
                out.add(id)
                todo += self.commits[id].parents
        return out

    def merge(self, ours: CommitId, theirs: CommitId, rng: random.Random, *, cut: bool = True) -> CommitId:
        """The commit in which `ours` took in `theirs`; with `cut`, told only of the commits after some common one."""
        mine, other = self.known(ours), self.known(theirs)
        if theirs in mine:
            return ours
        if ours in other:
            return theirs
        told = mine | other
        if cut:
            pasts = {id: self.known(id) for id in sorted(mine & other)}
            fit = [past for id, past in pasts.items() if all(id in self.known(one) for one in told - past)]
            told -= rng.choice(fit) if fit else set()
        steps = [
            Step(one.id, one.parents, one.by, one.at, one.writes) for one in self.commits.values() if one.id in told
        ]
        left, right = self.commits[ours].tree, self.commits[theirs].tree
        differing = {
            path: (left.get(path), right.get(path)) for path in left | right if left.get(path) != right.get(path)
        }
        tree = dict(left)
        for path, content in join(steps, ours, theirs, differing, self.blobs.__getitem__).items():
            if content is None:
                tree.pop(path, None)
            else:
                tree[path] = self.blob(content) if isinstance(content, bytes) else content
        return self._add((ours, theirs), "swarm", {}, tree, 0)

    def text(self, tip: CommitId, path: str) -> bytes | None:
        blob = self.commits[tip].tree.get(path)
        return self.blobs[blob] if blob else None


Hidden = tuple[CommitId, CommitId, tuple[str, ...]]
"""(a write of which something is lost, the write that it is behind, what is lost)."""

State = tuple[bytes | None, frozenset[Hidden], frozenset[CommitId]]
"""(text, what is hidden, the writes that are visible)."""


class Obvious:
    """The tree that a set of writes comes to, by the words of `lineage`'s docstring and nothing clever."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._memo: dict[object, State] = {}

    def tree(self, tip: CommitId) -> dict[str, bytes]:
        """What `tip` is to hold."""
        known = self._world.known(tip)
        written = {path for id in known for path in self._world.commits[id].writes}
        out: dict[str, bytes] = {}
        for path in sorted(written):
            text, hidden, _ = self._state(path, self._of(path, known))
            if text is not None:
                out[path] = text
            for lost, kept, what in hidden:
                entry = contested_path(path, self._side(path, kept), self._side(path, lost))
                if entry not in written:
                    loser = self._world.commits[lost].writes[path][1]
                    body = self._world.blobs[loser] if loser else b""
                    out[entry] = contested(path, self._side(path, kept), self._side(path, lost), what, body)
        return out

    def _of(self, path: str, commits: set[CommitId]) -> frozenset[CommitId]:
        return frozenset(id for id in commits if path in self._world.commits[id].writes)

    def _before(self, path: str, id: CommitId) -> frozenset[CommitId]:
        return self._of(path, self._world.known(id) - {id})

    def _side(self, path: str, id: CommitId) -> Side:
        one = self._world.commits[id]
        before, after = one.writes[path]
        return Side(after or before or BlobId(""), one.by, one.at, id, after is None)

    def _order(self, path: str, id: CommitId) -> tuple[int, int, str]:
        one = self._world.commits[id]
        buried = any(other.startswith("tombstones/") and new for other, (_, new) in one.writes.items())
        return (1 if one.writes[path][1] else 2 if buried else 0), one.at, id

    def _state(self, path: str, writes: frozenset[CommitId]) -> State:
        if (path, writes) not in self._memo:
            self._memo[path, writes] = self._work_out(path, writes)
        return self._memo[path, writes]

    def _work_out(self, path: str, writes: frozenset[CommitId]) -> State:
        heads = {id for id in writes if not any(id in self._before(path, other) for other in writes)}
        text, hidden, visible = self._merge(path, heads)
        for head in heads:
            for one in self._state(path, self._before(path, head))[1]:
                later = [id for id in writes if one[0] in self._before(path, id)]
                if all(one[0] in {h[0] for h in self._state(path, self._before(path, id))[1]} for id in later):
                    hidden.add(one)
        return text, frozenset(hidden), visible

    def _view(self, path: str, id: CommitId) -> tuple[frozenset[CommitId], frozenset[CommitId]]:
        """(the writes that are visible in what `id` wrote, those that it knew and that are not)."""
        known = self._before(path, id)
        visible = self._state(path, known)[2]
        return visible | {id}, known - visible

    def _merge(self, path: str, heads: set[CommitId]) -> tuple[bytes | None, set[Hidden], frozenset[CommitId]]:
        world = self._world
        if not heads:
            firsts = [id for id, one in world.commits.items() if path in one.writes and not self._before(path, id)]
            return self._load(world.commits[min(firsts)].writes[path][0]), set(), frozenset()
        first, *others = sorted(heads, key=lambda id: self._order(path, id), reverse=True)
        text = self._load(world.commits[first].writes[path][1])
        visible, unseen = self._view(path, first)
        hidden = set()
        for n, head in enumerate(others):
            its_visible, its_unseen = self._view(path, head)
            base = self._state(path, visible & its_visible | unseen & its_unseen)[0]
            merged = merge(path, base, text, self._load(world.commits[head].writes[path][1]))
            text = merged.text
            known = visible | unseen | its_visible | its_unseen
            if merged.lost:
                against = [one for one in [first, *others[:n]] if self._clash(path, one, head)]
                hidden.add((head, [*against, first][0], merged.lost))
            else:
                visible |= its_visible
            unseen = known - visible
        return text, hidden, visible

    def _clash(self, path: str, one: CommitId, other: CommitId) -> bool:
        (seen, unseen), (its_seen, its_unseen) = self._view(path, one), self._view(path, other)
        base = self._state(path, seen & its_seen | unseen & its_unseen)[0]
        texts = (self._load(self._world.commits[id].writes[path][1]) for id in (one, other))
        return bool(merge(path, base, *texts).lost)

    def _load(self, blob: BlobId | None) -> bytes | None:
        return self._world.blobs[blob] if blob else None
