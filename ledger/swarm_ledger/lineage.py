"""What a ledger holds after any set of writes, whatever merges brought them together.

A merge of two commits does not look at the texts of its two sides alone: it looks at the writes that each side
has, and at which of them were made knowing which. What a path holds is a function of that set of writes, so every
order of merging leads to the same tree, criss-cross or not. For one path:

- A write that nobody wrote after, knowing it, is a head. One head: its text stands.
- Several heads are merged, the later writes first, each against what the writes that both knew come to. A head of
  which something is lost is hidden, and a contested entry keeps it.
- A write replaces what its writer could see. What was hidden from its writer stays contested, and is no common
  ground with those who saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .contested import Side, contested, contested_path
from .entry import Document
from .errors import BadInput
from .fork import OURS, THEIRS
from .ids import path_of
from .merge import Merged, merge
from .objects import blob_id
from .store import BlobId, CommitId

__all__ = ["Content", "Step", "join"]

Content = BlobId | bytes | None
"""What a path is to hold: a version that is in history, a new text, or nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """A commit. `writes` is path → (version before, version after), empty for a merge that `join` decided.

    A merge that another git made is a write of what its maker decided, who saw both sides: `decided`.
    """

    id: CommitId
    parents: tuple[CommitId, ...]
    by: str
    at: int
    writes: Mapping[str, tuple[BlobId | None, BlobId | None]]
    decided: bool = False


class _Write(NamedTuple):
    """One write of a path. `order` tells whose text is to stand: the greatest's."""

    order: tuple[int, int, str]
    before: BlobId | None
    after: BlobId | None
    side: Side
    decided: bool


class _Hidden(NamedTuple):
    """The write `lost` is behind the write `kept`; `what` of it is lost."""

    lost: int
    kept: int
    what: tuple[str, ...]


class _State(NamedTuple):
    content: Content
    hidden: frozenset[_Hidden]
    visible: int
    """The writes that `content` was made from, those left out of which something is hidden."""


class _View(NamedTuple):
    """Which of the writes that are known are visible, and which are not."""

    visible: int
    unseen: int

    def joined(self, other: _View, *, seen: bool) -> _View:
        """With what `other` knows; it is visible only if `seen`."""
        visible = self.visible | (other.visible if seen else 0)
        return _View(visible, (self.visible | self.unseen | other.visible | other.unseen) & ~visible)

    def common(self, other: _View) -> int:
        """What is the same to both."""
        return (self.visible & other.visible) | (self.unseen & other.unseen)


def join(
    steps: Sequence[Step],
    ours: CommitId,
    theirs: CommitId,
    differing: Mapping[str, tuple[BlobId | None, BlobId | None]],
    text: Callable[[BlobId], bytes],
) -> dict[str, Content]:
    """What to write onto `ours` so that it holds what the writes of `ours` and `theirs` come to.

    `steps`, parents first, are the commits of both back to a commit, left out, that all of them descend from (or all
    commits). `differing` is path → (version in ours, version in theirs) of each path where the two trees differ.
    """
    reach = _reach(steps, ours, theirs)
    paths: dict[str, int] = {}
    for step in steps:
        for path in step.writes:
            paths[path] = paths.get(path, 0) | 1 << reach[step.id]
    both = {path for path, seen in paths.items() if seen & 1 << OURS and seen & 1 << THEIRS}
    derived = {path: _subject(path, sides, text) for path, sides in differing.items() if path not in paths}
    wanted = both | {subject for subject in derived.values() if subject in paths}
    out: dict[str, Content] = {}
    for path, lineage in _lineages(steps, wanted, text).items():
        at_ours, at_theirs = (lineage.known(reach, side) for side in (OURS, THEIRS))
        state = lineage.state(at_ours | at_theirs)
        out[path] = state.content
        before = lineage.state(at_ours).hidden | lineage.state(at_theirs).hidden
        entries: dict[str, Content] = {lineage.contested_path(hidden): None for hidden in before}
        entries |= {lineage.contested_path(hidden): lineage.contested(hidden) for hidden in state.hidden}
        out.update({entry: content for entry, content in entries.items() if entry not in paths})
    for path, (mine, other) in differing.items():
        only = paths.get(path, 0) & (1 << OURS | 1 << THEIRS)
        # Where neither side wrote, trees differ only after a merge by another version of this program; then any
        # choice will do that is the same on both hosts.
        if path not in out and (only == 1 << THEIRS or (not only and (other or "") > (mine or ""))):
            out[path] = other
    return out


def _reach(steps: Sequence[Step], ours: CommitId, theirs: CommitId) -> dict[CommitId, int]:
    """Commit → which sides have it, as bits."""
    reach = {step.id: 0 for step in steps}
    for tip, bit in ((ours, OURS), (theirs, THEIRS)):
        if tip in reach:
            reach[tip] |= bit
    for step in reversed(steps):
        for parent in step.parents:
            if parent in reach:
                reach[parent] |= reach[step.id]
    return reach


def _subject(path: str, sides: tuple[BlobId | None, BlobId | None], text: Callable[[BlobId], bytes]) -> str | None:
    """The path whose writes the contested entry at `path` is about; None for any other file."""
    if not path.startswith("contested/"):
        return None
    try:
        fields = Document.parse(text(next(filter(None, sides)))).fields
        return path_of(str(fields["of"])) if "of" in fields else str(fields.get("path"))
    except BadInput:
        return None


def _lineages(steps: Sequence[Step], paths: set[str], text: Callable[[BlobId], bytes]) -> dict[str, _Lineage]:
    """The writes of each of `paths`, and which of them knew which."""
    lineages = {path: _Lineage(path, text) for path in sorted(paths)}
    known: dict[CommitId, int] = {}
    bits: dict[str, list[int]] = {path: [] for path in lineages}
    number = 0
    for step in steps:
        mask = 0
        for parent in step.parents:
            mask |= known.get(parent, 0)
        buries = any(path.startswith("tombstones/") and after for path, (_, after) in step.writes.items())
        after_mask = mask
        for path in step.writes.keys() & lineages.keys():
            before, after = step.writes[path]
            rank = 1 if after else 2 if buries else 0
            side = Side(after or before or blob_id(b""), step.by, step.at, step.id, after is None)
            earlier = sum(1 << i for i, bit in enumerate(bits[path]) if mask >> bit & 1)
            lineages[path].add(_Write((rank, step.at, step.id), before, after, side, step.decided), earlier)
            bits[path].append(number)
            after_mask |= 1 << number
            number += 1
        known[step.id] = after_mask
    return lineages


class _Lineage:
    """The writes of one path. Sets of them are ints, a bit a write; a write's bit is above those of all it knew."""

    def __init__(self, path: str, text: Callable[[BlobId], bytes]) -> None:
        self._path, self._text = path, text
        self._writes: list[_Write] = []
        self._earlier: list[int] = []
        """`_earlier[i]`: what the writer of `i` knew, closed under knowing."""
        self._states: dict[int, _State] = {}

    def add(self, write: _Write, earlier: int) -> None:
        """Add a write, made knowing `earlier`."""
        self._writes.append(write)
        self._earlier.append(earlier)

    def known(self, reach: Mapping[CommitId, int], side: int) -> int:
        """The writes that a side has."""
        return sum(1 << i for i, write in enumerate(self._writes) if reach[write.side.commit] & side)

    def state(self, writes: int) -> _State:
        """What the path holds after `writes`, and what of them is hidden."""
        for i in _bits(writes):  # ascending, so that no recursion goes deep
            self._resolve(self._earlier[i])
        return self._resolve(writes)

    def contested_path(self, hidden: _Hidden) -> str:
        """Where the contested entry of `hidden` lies."""
        return contested_path(self._path, self._writes[hidden.kept].side, self._writes[hidden.lost].side)

    def contested(self, hidden: _Hidden) -> bytes:
        """The contested entry of `hidden`."""
        kept, lost = self._writes[hidden.kept], self._writes[hidden.lost]
        return contested(self._path, kept.side, lost.side, hidden.what, self._load(lost.after) or b"")

    def _resolve(self, writes: int) -> _State:
        state = self._states.get(writes)
        if state is None:
            state = self._states[writes] = self._compute(writes)
        return state

    def _compute(self, writes: int) -> _State:
        heads = self._heads(writes)
        if not heads:
            return _State(self._origin(), frozenset(), 0)
        inherited = {hidden for head in heads for hidden in self._unseen_by(head) if self._lives(hidden.lost, writes)}
        content, hidden, visible = self._merge(heads)
        return _State(content, frozenset(inherited | hidden), visible)

    def _heads(self, writes: int) -> list[int]:
        """Those that none of the others knew."""
        heads = []
        while writes:
            heads.append(writes.bit_length() - 1)
            writes &= ~(self._earlier[heads[-1]] | 1 << heads[-1])
        return heads

    def _lives(self, write: int, writes: int) -> bool:
        """Whether `write` was hidden from all who wrote after it."""
        return all(
            any(hidden.lost == write for hidden in self._unseen_by(later))
            for later in _bits(writes)
            if self._earlier[later] >> write & 1
        )

    def _merge(self, heads: list[int]) -> tuple[Content, set[_Hidden], int]:
        """(what they come to, those of which something is lost, what is visible)."""
        ranked = sorted(heads, key=lambda head: self._writes[head].order, reverse=True)
        first = ranked[0]
        content: Content = self._writes[first].after
        view = self._view(first)
        hidden = set()
        for n, head in enumerate(ranked[1:], 1):
            merged = self._merge_two(view, content, head)
            content = merged.text
            if merged.lost:
                against = (one for one in ranked[:n] if self._conflict(one, head))
                hidden.add(_Hidden(head, next(against, first), merged.lost))
            view = view.joined(self._view(head), seen=not merged.lost)
        return content, hidden, view.visible

    def _unseen_by(self, write: int) -> frozenset[_Hidden]:
        """What was hidden from the writer of `write`."""
        return frozenset() if self._writes[write].decided else self._resolve(self._earlier[write]).hidden

    def _view(self, write: int) -> _View:
        """Of `write` and what its writer knew."""
        earlier = self._earlier[write]
        visible = earlier if self._writes[write].decided else self._resolve(earlier).visible
        return _View(visible | 1 << write, earlier & ~visible)

    def _merge_two(self, view: _View, content: Content, head: int) -> Merged:
        base = self._resolve(view.common(self._view(head))).content
        return merge(self._path, self._load(base), self._load(content), self._load(self._writes[head].after))

    def _conflict(self, one: int, other: int) -> bool:
        return bool(self._merge_two(self._view(one), self._writes[one].after, other).lost)

    def _origin(self) -> Content:
        """What was there before the first of the writes: all that knew none of the others saw the same."""
        firsts = [write for write, earlier in zip(self._writes, self._earlier, strict=True) if not earlier]
        return min(firsts, key=lambda write: write.side.commit).before

    def _load(self, content: Content) -> bytes | None:
        return self._text(content) if isinstance(content, str) else content


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
