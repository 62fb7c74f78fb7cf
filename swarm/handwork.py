"""What a file that a hand wrote comes to: which writes, and what the view knows of the file then."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from typing import NamedTuple

from swarm_ledger import logbook
from swarm_ledger.contested import Side, contested, contested_path
from swarm_ledger.entry import Document, decode
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput
from swarm_ledger.ids import AgentName, EntryId, id_of, kind_of, log_directory, new_id, path_of
from swarm_ledger.manifest import Hand, Manifest, Row
from swarm_ledger.merge import merge
from swarm_ledger.objects import blob_id
from swarm_ledger.schema import validate
from swarm_ledger.store import Append, BlobId, Delete, Op, Put, Store, Version
from swarm_ledger.times import parse_time
from swarm_ledger.tree import Found, Tree
from swarm_ledger.view import SETTINGS, is_shown, versions_of
from swarm_ledger.yaml12 import load

from .hand import draft, has_front_matter, is_id, kind_of_place
from .tombstones import tombstone_of

__all__ = ["Handwork", "Taken", "Write"]

_FAR = 1000
"""Commits: no editor is open for longer."""

_DROPPED_S = 3600.0
"""A file that was moved to its place and is saved again under its old name within this time is that entry's."""
_REV = re.compile(rb"^rev:[ \t]*([0-9]{1,9})[ \t]*\r?$", re.MULTILINE)


class Taken(NamedTuple):
    """Something that was taken in. `what` is edited, merged, contested, added, logged, retracted, restored, or where
    the ledger's text comes back: moved back, kept. `name` is the file in the view."""

    what: str
    name: str
    id: str

    @property
    def line(self) -> str:
        """For people."""
        if self.what == "moved back":
            return f"moved back: {self.name}: the place of {self.id} follows from its id"
        if self.what == "kept":
            return f"kept: {self.name}: it is as the ledger has it"
        return f"{self.what}: {self.id}" + ("" if self.name == self.id else f" ({self.name})")


class Write(NamedTuple):
    """What one file comes to. `taken` is None where there is nothing to tell."""

    taken: Taken | None
    ops: tuple[Op, ...]
    row: Row
    """The file as it is known from then on."""
    owed: bool
    """Whether the ledger has another text now than the file."""
    moved_from: str | None = None
    """The name under which a hand wrote it, where that is not its path."""
    became: BlobId | None = None
    """The version that it became."""
    hand: Hand | None = None


class _Base(NamedTuple):
    """What a hand's text was made from; `version` is None where the ledger does not have just that."""

    version: BlobId | None
    text: bytes


class Handwork:
    """Reads what hands wrote in one view, for the agent `me`. Nothing is written here. All raise BadInput for what
    cannot be taken in, with a message for whoever wrote it.

    What it finds in history it keeps, so that the next attempt at a commit, after somebody was quicker, is quick.
    """

    def __init__(self, store: Store, manifest: Manifest, me: AgentName, env: Env) -> None:
        self._store, self._manifest, self._me, self._env = store, manifest, me, env
        self._texts: dict[BlobId, bytes] = {}
        self._bases: dict[tuple[str, int], BlobId] = {}
        self._once: dict[str, set[str]] = {}

    def edit(self, _: Tree, name: str, found: Found) -> Write:
        """A file that the view showed, and that is not as it was."""
        row = self._manifest.row(name)
        if row is None:
            raise BadInput("it is no file of the view any more; try again")
        if found.blob == row.shown:  # another watcher has taken it in
            return Write(None, (), row._replace(signature=found.signature, looked=int(self._env.now() * 1e9)), False)
        return self.edited(row, found)

    def edited(self, row: Row, found: Found, moved_from: str | None = None) -> Write:
        """What the text of a hand, made from what `row` says, comes to. Raises BadInput where it is no entry."""
        path, current = row.path, self._store.read(row.path)
        id = id_of(path) or path
        known = row._replace(shown=found.blob, signature=found.signature, looked=int(self._env.now() * 1e9))
        if current is None:
            raise BadInput(
                f"{id} was retracted meanwhile; `swarm restore {id}` brings it back, then this is taken in. "
                "Or delete this file."
            )
        if found.blob == current.blob:
            return Write(None, (), known._replace(version=current.blob), False, moved_from)
        if current.blob != row.version and self._was(path, found.blob):
            return Write(None, (), known._replace(version=found.blob), True, moved_from)
        if path.startswith("log/"):
            return self._log(known, found, current, moved_from)
        base: _Base
        if path == SETTINGS:
            _check_settings(found.text, current.text)
            text, rev = found.text, None
            base = _Base(row.version, self._text(row.version))
        else:
            text, base, rev = self._entry(id, row, found, current)
        if base.version == current.blob:
            put = Put(id, path, text, current.blob)
            became = blob_id(text)
            hand = Hand(rev, became, found.text)
            return Write(
                Taken("edited", path, id), (put,), known._replace(version=became), False, moved_from, became, hand
            )
        return self._merged(id, known, found, text, base.text, current, moved_from)._replace(
            hand=Hand(rev, None, found.text)
        )

    def _entry(self, id: str, row: Row, found: Found, current: Version) -> tuple[bytes, _Base, int | None]:
        """(the text to commit, the version that it was made from, the `rev` that the hand left in it)."""
        if kind_of(id) == "tombstone":
            raise BadInput(
                f"a tombstone is kept as it is; `swarm restore ID` undoes a retraction, {row.path} is not taken"
            )
        parsed = Document.parse(found.text)
        if parsed.fields.get("id") != id:
            raise BadInput(f"its id must be {id}, which its place follows from; put that back")
        rev = parsed.fields.get("rev", 1)
        rev = rev if isinstance(rev, int) else None
        base = self._base(row, rev, current)
        # The rev that a hand leaves in tells which version it had before its eyes; the entry's own goes on.
        if rev is not None and rev == _rev(base.text):
            parsed = parsed.edit({"rev": max(rev, _rev(current.text) or 1) + 1})
        validate(parsed.fields, parsed.body)
        return parsed.data, base, rev

    def _base(self, row: Row, rev: int | None, current: Version) -> _Base:
        """What a hand had before its eyes: what is shown, unless its `rev` tells of something earlier."""
        hand = self._manifest.hand(row.path)
        if hand and (row.shown != row.version or rev == hand.rev):
            shown = _Base(hand.version, hand.text)
        else:
            shown = _Base(row.version, current.text if current.blob == row.version else self._text(row.version))
        if rev is None or rev == _rev(shown.text):
            return shown
        found = self._bases.get((row.path, rev)) or self._with_rev(row.path, rev)
        if found is None:
            return shown
        self._bases[row.path, rev] = found
        return _Base(found, self._text(found))

    def _with_rev(self, path: str, rev: int) -> BlobId | None:
        """The oldest version of `path` with that `rev`. Each edit since raised it, so it is not far back.

        How far the newest one tells: others go on writing, so it may be newer than what was read a moment ago.
        """
        found, far = None, 0
        for number, commit in enumerate(self._store.history(path, limit=_FAR)):
            version = dict(commit.changed).get(path)
            its = _rev(self._text(version)) if version else None
            if number == 0:
                far = (its or rev) - rev
            if its == rev:
                found = version
            if number >= far:
                break
        return found

    def _merged(
        self, id: str, row: Row, found: Found, text: bytes, base: bytes, current: Version, moved_from: str | None
    ) -> Write:
        """A hand's text and the newer version of the ledger as one, with a contested entry for what is not in it."""
        done = merge(row.path, base, current.text, text)
        joined = done.text if done.text is not None else current.text
        ops: list[Op] = [] if joined == current.text else [Put(id, row.path, joined, current.blob)]
        what = "merged"
        if done.lost:
            last = next(self._store.history(row.path, limit=1))
            mine = Side(found.blob, self._me, int(self._env.now()), last.id)
            kept = Side(current.blob, last.author, last.at, last.id)
            place = contested_path(row.path, kept, mine)
            entry = contested(row.path, kept, mine, done.lost, found.text)
            if self._store.read(place) is None:
                ops.append(Put(str(id_of(place)), place, entry, None))
            what = "contested"
        return Write(Taken(what, row.path, id), tuple(ops), row, True, moved_from, blob_id(joined))

    def _log(self, row: Row, found: Found, current: Version, moved_from: str | None) -> Write:
        """Entries of a log stay as they are; what a hand wrote into it becomes entries of the hand's own log."""
        there = {entry.id: entry.text for entry in logbook.parse(current.text)}
        ops: list[Op] = []
        for entry in logbook.parse(found.text):
            old = there.get(entry.id)
            if old is None:
                ops.append(self._said(entry.text))
            elif entry.text.rstrip() != old.rstrip():
                new = entry.text[len(old) :] if entry.text.startswith(old) else entry.text
                ops.append(self._said(new.strip("\r\n"), entry.id))
        taken = Taken("logged" if ops else "kept", row.path, ops[0].entry if ops else row.path)
        # It stands for no version of the ledger, so that the ledger's takes its place.
        return Write(taken, tuple(ops), row._replace(version=found.blob), True, moved_from)

    def _said(self, text: str, ref: str | None = None) -> Append:
        at = datetime.fromtimestamp(int(self._env.now()), UTC)
        id = new_id("log", at, self._env.rng)
        section = logbook.section(logbook.LogEntry(id, self._me, at, text, {"ref": ref} if ref else {}))
        return Append(id, log_directory(self._me, at.date()), logbook.header(self._me, at.date()), section)

    def new(self, tree: Tree, name: str, found: Found) -> Write:
        """What a file that the manifest does not name comes to."""
        text, now = found.text, self._env.now()
        given = Document.parse(text).fields.get("id") if has_front_matter(text) else None
        elsewhere = Row(name, found.blob, found.blob, found.signature, 0)
        if name == SETTINGS or (is_shown(name) and name.startswith("log/")):
            known = self._store.read(name)
            if known is None:
                raise BadInput("logs are written by `swarm log`; put this text elsewhere in the view")
            return self.edited(Row(name, known.blob, known.blob, None, 0), found)
        if is_id(given):
            return self._named(tree, name, found, EntryId(str(given)))
        if name.startswith("log/"):
            said = self._said(decode(text).strip("\r\n"))
            return Write(Taken("logged", name, said.entry), (said,), elsewhere, False, name)
        stem = name.rpartition("/")[2].removesuffix(".md")
        at = datetime.fromtimestamp(int(now), UTC)
        if again := self._manifest.dropped(name, now - _DROPPED_S):
            path, version = again
            if current := self._store.read(path):
                new = _again(current, text, stem)
                row = Row(path, version, found.blob, None, 0)
                return self.edited(row, Found(new, blob_id(new), found.signature), name)._replace(
                    row=row, moved_from=name
                )
        kind, type = kind_of_place(name)
        made = draft(text, stem, self._me, at, self._env.rng, kind=kind, type=type)
        if self._store.read(made.path):
            raise BadInput(f"{made.id} is there already, in {made.path}; change that, or give this another title")
        put = Put(made.id, made.path, made.text, None)
        row = Row(made.path, blob_id(made.text), found.blob, None, 0)
        return Write(Taken("added", name, made.id), (put,), row, True, name)

    def _named(self, tree: Tree, name: str, found: Found, id: EntryId) -> Write:
        """A file that says which entry it is."""
        if kind_of(id) == "log":
            raise BadInput(f"{id} is an entry of a log; take out the line with the id to make another entry of it")
        path = path_of(id)
        current, row = self._store.read(path), self._manifest.row(path)
        moved_from = name if name != path else None
        if current:
            if moved_from and row and tree.stat(path) is not None:
                raise BadInput(
                    f"a copy of {path}; take out the line with the id to make another entry of it, or delete it"
                )
            row = row or Row(path, current.blob, current.blob, None, 0)
            write = self.edited(row, found, moved_from)
            return write if write.taken or not moved_from else write._replace(taken=Taken("moved back", name, id))
        parsed = Document.parse(found.text)
        validate(parsed.fields, parsed.body)
        ops: list[Op] = [Put(id, path, found.text, None)]
        stone = tombstone_of(self._store, id)
        if stone:
            ops.append(Delete(str(id_of(stone.path)), stone.path, stone.blob))
        row = Row(path, found.blob, found.blob, found.signature, int(self._env.now() * 1e9))
        return Write(Taken("restored" if stone else "added", name, id), tuple(ops), row, False, moved_from)

    def _text(self, version: BlobId) -> bytes:
        if version not in self._texts:
            self._texts[version] = self._store.blob(version)
        return self._texts[version]

    def _was(self, path: str, version: BlobId) -> bool:
        """Whether a text is one that the ledger had when it was looked at first."""
        if path not in self._once:
            self._once[path] = versions_of(self._store, path)
        return version in self._once[path]


def _again(current: Version, text: bytes, stem: str) -> bytes:
    """The text of an entry with what its author saved once more under the name that the file had at first."""
    old = Document.parse(current.text)
    id = EntryId(str(old.fields["id"]))
    at = parse_time(str(old.fields["at"]))
    made = Document.parse(draft(text, stem, str(old.fields["by"]), at, random.Random(0), id=id, kind=kind_of(id)).text)
    return made.edit({"rev": old.fields.get("rev", 1)}).data


def _check_settings(text: bytes, current: bytes) -> None:
    try:
        new, old = load(text.decode()), load(current.decode())
    except UnicodeDecodeError:
        raise BadInput("not UTF-8; save the file as UTF-8") from None
    if new.get("format") != old.get("format"):
        raise BadInput(f"format says how this ledger is written, and stays {old.get('format')}")


def _rev(text: bytes) -> int | None:
    """The `rev` in the front matter of an entry: 1 where it says none."""
    found = _REV.search(text.split(b"\n---", 1)[0])
    return int(found[1]) if found else 1
