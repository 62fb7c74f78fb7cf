"""Whether the evidence for facts still stands on the reader's branch, and whether others contest them.

Verdicts come from a cache: on a citation and the blob at its path where that decides, else on the whole tree. What is
said is that the evidence is unchanged, never that a fact is true.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger.errors import SwarmError
from swarm_ledger.ids import kind_of, path_of
from swarm_ledger.standing import VERDICTS, Standing

from .factindex import Cited, Fact, FactIndex, Known

if TYPE_CHECKING:
    from swarm_ledger.store import Store

    from .anchor import Anchor
    from .api import Swarm
    from .codetree import CodeTree

__all__ = ["Evidence", "Verdict", "rivals"]

_FEW = 500
_DIGITS = 32
"""Of a digest of several blobs: fewer than an object's name has."""

_LINES = re.compile(r'"lines": \[([0-9]+), ([0-9]+)\]')
"""As FactIndex writes them."""


class Verdict(NamedTuple):
    """The verdict on one citation. `path` and lines say where its text is now, where it is somewhere."""

    fact: str
    nth: int
    kind: str
    cited: str
    """What it names, for people: src/auth.py:10-24, an id, an address."""
    verdict: str
    path: str
    first: int
    last: int
    exact: bool
    why: str


class Evidence:
    """Judges the citations of a ledger's facts against one tree of code."""

    def __init__(self, swarm: Swarm, ref: str | None = None, ran: Sequence[Mapping[str, object]] = ()) -> None:
        """`ran`: citations of what commands print now, for those on what they printed once."""
        self._ran = {str(one.get("command")): one for one in ran}
        self._swarm, self._index = swarm, swarm.facts
        self.ref = ref or "HEAD"
        place = swarm.place
        self._directory = place.worktree or place.git_dir
        self._hand = place.worktree if ref is None else None
        """Where files that are in no commit yet may have what was cited from them."""
        self._tree: CodeTree | None = None
        self.unreachable = "" if self._directory else "not inside a repository, so there is no code to look at"
        """Why no code at all can be looked at, once that was tried; "" where it can."""

    def of(self, ids: Collection[str]) -> Mapping[str, Standing]:
        """How those of `ids` stand that are facts or reflections, or are contested; the others are left out.

        Cheap: what was judged before comes from a cache by blob id. Never raises for what cannot be checked.
        """
        facts = self._index.facts(ids)
        contested = self._index.contested(ids)
        worst: dict[str, str] = {}
        for one in self._judged(self._index.cited([fact.id for fact in facts]), of_now=True):
            worst[one.fact] = max(worst.get(one.fact, "fresh"), one.verdict, key=VERDICTS.index)
        against = rivals(self._index.with_keys(ids))
        now = self._swarm.env.now()
        known = {
            fact.id: Standing(
                worst.get(fact.id, ""), against.get(fact.id, ()), fact.until is not None and fact.until <= now
            )
            for fact in facts
        }
        return known | {id: known.get(id, Standing())._replace(contested=by) for id, by in contested.items()}

    def verdicts(self, ids: Collection[str] | None = None) -> list[Verdict]:
        """The verdict on each citation of those of `ids`, or of all active facts, by fact."""
        return self._judged(self._index.cited(ids))

    def _judged(self, rows: Sequence[Cited], *, of_now: bool = False) -> list[Verdict]:
        """The verdicts on `rows`; `of_now` where no more will be asked of the tree."""
        cited = [row for row in rows if row.kind == "path"]
        code = (self._kept(cited) if of_now else None) or self._code(cited)
        out = []
        for row in rows:
            known = code[row.digest] if row.kind == "path" else self._other(row)
            out.append(Verdict(row.fact, row.nth, row.kind, _named(row), *known))
        return out

    def tree(self) -> CodeTree | None:
        """The tree that is judged against; None where it cannot be reached, and `unreachable` says why."""
        from .codetree import CodeTree, Unreadable

        if self._tree is None and not self.unreachable and self._directory:
            try:
                self._tree = CodeTree(self._directory, self.ref, self._index)
            except Unreadable as error:
                self.unreachable = str(error)
        return self._tree

    @property
    def store(self) -> Store:
        """The ledger's."""
        return self._swarm.store

    def citation(self, verdict: Verdict) -> Mapping[str, object]:
        """What the citation that `verdict` is on says."""
        rows = (row for row in self._index.cited([verdict.fact]) if row.nth == verdict.nth)
        return next((row.fields() for row in rows), {})

    def close(self) -> None:
        """End what reads the tree."""
        if self._tree:
            self._tree.close()

    def _kept(self, rows: Sequence[Cited]) -> dict[str, Known] | None:
        """Digest → verdict on the commit of now, where all are kept: git need not be asked then, which takes longer."""
        commit = self._swarm.place.head_commit() if rows and self.ref == "HEAD" else None
        root = self._index.tree_of(commit) if commit else None
        if root is None:
            return None
        wanted = {row.digest: row for row in rows}
        known = {digest: one for (digest, _), one in self._index.verdicts([(one, root) for one in wanted]).items()}
        if known.keys() != wanted.keys():
            return None
        return {digest: self._by_hand(wanted[digest], one) for digest, one in known.items()}

    def _code(self, rows: Sequence[Cited]) -> dict[str, Known]:
        """Digest → verdict."""
        from .codetree import Unreadable

        tree = self.tree() if rows else None
        try:
            return self._on(tree, {row.digest: row for row in rows}) if tree else self._out_of_reach(rows)
        except Unreadable as error:  # of the tree itself: objects of it are missing, or damaged
            self.unreachable = str(error)
            return self._out_of_reach(rows)

    def _out_of_reach(self, rows: Sequence[Cited]) -> dict[str, Known]:
        return {row.digest: Known("uncheckable", "", 0, 0, True, self.unreachable) for row in rows}

    def _on(self, tree: CodeTree, wanted: Mapping[str, Cited]) -> dict[str, Known]:
        """Digest → verdict on `tree`. Raises Unreadable."""
        from .codetree import NOT_FETCHED

        whole = self._index.verdicts([(digest, tree.root) for digest in wanted])
        known = {digest: verdict for (digest, _), verdict in whole.items()}
        left = {digest: tree.blob(row.path) for digest, row in wanted.items() if digest not in known}
        own = self._index.verdicts([pair for pair in left.items() if pair[1]])
        known |= {digest: verdict for (digest, _), verdict in own.items()}
        new = [wanted[digest] for digest in left if digest not in known]
        found = dict(_looked_into(tree, new, self._index))
        if found or left:
            kept = {(row.digest, source): one for row, source, one in found.values() if one.why != NOT_FETCHED}
            # What follows from several blobs is kept of the tree too, so that they need not be looked for again.
            kept |= {(digest, tree.root): one for (digest, source), one in kept.items() if len(source) == _DIGITS}
            if len(wanted) <= _FEW:  # the next one to ask for these need not even list the tree
                kept |= {(digest, tree.root): known[digest] for digest in left if digest in known}
                kept |= {(digest, tree.root): one for (digest, _), one in kept.items()}
            self._index.note(kept, tree.root, tree.commit)
        known |= {digest: one[2] for digest, one in found.items()}
        return {digest: self._by_hand(wanted[digest], verdict) for digest, verdict in known.items()}

    def _by_hand(self, row: Cited, known: Known) -> Known:
        """The verdict on what was cited before it was committed: the file of the worktree may have it."""
        if known.verdict in ("fresh", "moved") or '"commit"' in row.data:
            return known
        from .anchor import read_anchor
        from .evidence import holds

        anchor = read_anchor(row.fields())
        if anchor and self._hand and holds(self._hand, anchor):
            return Known("fresh", anchor.path, anchor.first, anchor.last, True, "in this worktree, in no commit yet")
        if known.verdict == "uncheckable":
            return known
        return Known("uncheckable", "", 0, 0, True, "it was cited before it was committed, and is in no commit here")

    def _other(self, row: Cited) -> Known:
        """The verdict on what is not code. What is elsewhere is never fetched."""
        fields = row.fields()
        store = self._swarm.store
        if row.kind == "url":
            return Known("uncheckable", "", 0, 0, True, "a page elsewhere is not fetched")
        if row.kind == "command":
            ran = self._ran.get(str(fields.get("command")))
            if ran is None:
                return Known("uncheckable", "", 0, 0, True, "a command is not run again; `verify --ran` compares")
            if ran.get("exit") != fields.get("exit"):
                return Known("changed", "", 0, 0, True, f"its exit status is {ran.get('exit')} now")
            same = ran.get("sha256") == fields.get("sha256")
            return Known("fresh" if same else "changed", "", 0, 0, True, "" if same else "it prints something else now")
        id = str(fields.get(row.kind, ""))
        try:
            if row.kind == "log" and kind_of(id) == "log":
                there = self._swarm.index.get(id)
                return Known("fresh" if there else "gone", "", 0, 0, True, "" if there else "no such log entry")
            now = store.read(path_of(id))
        except SwarmError:
            return Known("uncheckable", "", 0, 0, True, "it names nothing that is known here")
        if now is None:
            return Known("gone", "", 0, 0, True, "the entry was taken out")
        if now.blob != fields.get("version"):
            return Known("changed", "", 0, 0, True, "the entry was changed since")
        return Known("fresh", "", 0, 0, True, "")


def rivals(by_key: Mapping[str, Sequence[Fact]]) -> dict[str, tuple[str, ...]]:
    """Id → ids of the active facts that give its key another value for some of the same time."""
    out: dict[str, list[str]] = {}
    for facts in by_key.values():
        for number, one in enumerate(facts):
            for other in facts[number + 1 :]:
                if _overlap(one, other):
                    out.setdefault(one.id, []).append(other.id)
                    out.setdefault(other.id, []).append(one.id)
    return {id: tuple(others) for id, others in out.items()}


def _overlap(one: Fact, other: Fact) -> bool:
    return (one.until is None or other.since < one.until) and (other.until is None or one.since < other.until)


def _looked_into(
    tree: CodeTree, rows: Sequence[Cited], index: FactIndex
) -> Iterator[tuple[str, tuple[Cited, str, Known]]]:
    """(digest, (citation, what the verdict is on, verdict)) of citations of code on `tree`.

    A verdict is on the blob at the citation's path, or on that and all that may hold its text, by a digest of them.
    """
    from .anchor import anchor_of, read_anchor
    from .codetree import Unreadable
    from .judge import in_place

    left: list[tuple[Cited, Anchor, str]] = []
    for row in sorted(rows, key=lambda row: row.path):
        anchor = read_anchor(row.fields())
        if anchor is None:
            yield row.digest, (row, tree.root, Known("uncheckable", "", 0, 0, True, "it does not say which lines"))
            continue
        flaw = ""
        try:
            own = tree.text(anchor.path)
        except Unreadable as error:
            own, flaw = None, str(error)
        if own and in_place(anchor, own):
            verdict = Known("fresh", anchor.path, anchor.first, anchor.last, True, "")
            yield row.digest, (row, tree.blob(anchor.path), verdict)
            continue
        commit = row.fields().get("commit")
        if not anchor.span and isinstance(commit, str):
            old = tree.of_commit(commit, anchor.path)
            if old and old.digest(anchor.first, anchor.last) == anchor.sha256:
                anchor = anchor_of(anchor.path, old, anchor.first, anchor.last)
        left.append((row, anchor, flaw))
    if left:
        holders = tree.holders([anchor for _, anchor, _ in left])
        asked = [(*one, paths, _looked_at(tree, *one[1:], paths)) for one, paths in zip(left, holders, strict=True)]
        known = index.verdicts([(row.digest, source) for row, *_, source in asked])
        for row, anchor, flaw, paths, source in asked:
            verdict = known.get((row.digest, source)) or _found(tree, anchor, flaw, paths)
            yield row.digest, (row, source, verdict)


def _looked_at(tree: CodeTree, anchor: Anchor, flaw: str, paths: Sequence[str]) -> str:
    """What a verdict follows from: the blobs that are looked into. Of a citation without marks, the whole tree."""
    if not anchor.span:
        return tree.root
    parts = [flaw, tree.blob(anchor.path), *(part for path in paths for part in (path, tree.blob(path)))]
    return sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:_DIGITS]


def _found(tree: CodeTree, anchor: Anchor, flaw: str, paths: Sequence[str]) -> Known:
    from .codetree import texts
    from .judge import judge

    own = None if flaw else tree.text(anchor.path)
    said = judge(anchor, own, texts(tree, paths))
    if flaw and said.verdict != "moved":
        return Known("uncheckable", "", 0, 0, True, flaw)
    if said.place is None:
        return Known(said.verdict, "", 0, 0, True, said.why)
    return Known(said.verdict, *said.place, said.why)


def _named(row: Cited) -> str:
    if row.kind == "path":
        lines = _LINES.search(row.data)
        return f"{row.path}:{lines[1]}-{lines[2]}" if lines else row.path
    return " ".join(str(row.fields().get(row.kind, "?")).split())
