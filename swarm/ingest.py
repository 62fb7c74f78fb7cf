"""What hands did in the view, taken into the ledger: edits, new files, renames, deletions.

A text of a hand is based on the version that its file stood for. Where the ledger moved on meanwhile both are merged,
and what cannot be merged becomes a `contested` entry with the hand's whole text. What cannot be taken in stays where
it is, named, until it can.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger.entry import Document
from swarm_ledger.env import storage_error
from swarm_ledger.errors import BadInput, Conflict, NotFound
from swarm_ledger.ids import id_of, kind_of, path_of
from swarm_ledger.manifest import Row
from swarm_ledger.tree import Found, Tree
from swarm_ledger.view import Files, View, is_shown, versions_of

from .hand import is_id
from .handwork import Handwork, Taken, Write

if TYPE_CHECKING:
    from .agent import Agent
    from .api import Swarm

__all__ = ["HUMAN", "Ingest", "Result", "Taken"]

HUMAN = "human"
"""Who writes in a worktree where nobody joined."""

_CHUNK = 256
_COMMIT_BYTES = 8 << 20
_ATTEMPTS = 32
_MANY, _SHARE = 10, 0.2
"""More files than this, and than this share of all, that are gone at once are not taken as retractions."""


class Result(NamedTuple):
    """What a run did. `problems`: file → why it stays as it is. `waiting`: files to look at again in a moment."""

    taken: tuple[Taken, ...]
    problems: Mapping[str, str]
    waiting: tuple[str, ...]


class _Out(NamedTuple):
    """A result in the making."""

    taken: list[Taken]
    problems: dict[str, str]
    waiting: list[str]


class _Area(NamedTuple):
    """What was looked at."""

    directories: Sequence[str]
    names: frozenset[str]

    def __contains__(self, path: object) -> bool:
        return path in self.names or any(
            not directory or str(path).startswith(f"{directory}/") for directory in self.directories
        )


_Plan = Callable[[Tree, str, Found], Write]


class Ingest:
    """Takes in what hands do in one view. Keep one for as long as files are watched: it knows what it saw missing."""

    def __init__(self, swarm: Swarm, view: View, *, acting: str | None = None, grace: float = 0.15) -> None:
        """`acting` writes (default: who joined in this worktree, else "human").

        `grace`: seconds that a file must be gone before it counts as deleted; some editors save so.
        """
        self._swarm, self.view, self._acting, self._grace = swarm, view, acting, grace
        self._store, self._env = swarm.store, swarm.env
        self._gone: dict[str, float] = {}

    def run(self, directories: Sequence[str] = ("",), names: Sequence[str] = (), *, deletions: bool = False) -> Result:
        """Take in what is found under `directories` and in the files `names`, and show what became of it.

        With `deletions` files are retracted however many are gone. Raises Busy, StorageError and what writing raises.
        """
        try:
            return self._run(directories, names, deletions)
        except OSError as error:
            raise storage_error(error, "taking in what was edited") from None

    def _run(self, directories: Sequence[str], names: Sequence[str], deletions: bool) -> Result:
        view = self.view
        with view.alone(), view.opened() as files:
            if not view.manifest.count() or view.is_gone(files):
                view.refresh(self._store)
            scan = view.scan(files, directories, names)
            out = _Out([], dict(scan.problems), [])
            self._asides(files, out)
            renamed = self._paths_named(files, scan.new) if scan.missing else set()
        for part in _parts(scan.edited):
            self._chunk(part, self._work.edit, out)
        for part in _parts(scan.new):
            self._chunk(part, self._work.new, out)
        looked_at = _Area(directories, frozenset(names))
        self._missing([path for path in scan.missing if path not in renamed], looked_at, deletions, out)
        with view.alone():
            with view.manifest.writing():
                for name in view.manifest.problems():
                    if name not in out.problems and name in looked_at:
                        view.manifest.set_problem(name, None)
                for name, what in out.problems.items():
                    view.manifest.set_problem(name, what)
            if "" in directories:
                view.refresh(self._store)
            elif out.taken:
                view.refresh(self._store, _CHUNK)
        return Result(tuple(out.taken), out.problems, tuple(out.waiting))

    def _paths_named(self, files: Files, names: Iterable[str]) -> set[str]:
        """The places of the entries that these files say they are: a file under another name is a rename."""
        paths = set()
        for name in names:
            with contextlib.suppress(BadInput, OSError):
                id = Document.parse(files.tree.read(name).text).fields.get("id")
                if is_id(id) and kind_of(str(id)) != "log":
                    paths.add(path_of(str(id)))
        return paths

    # What is done with what was found

    def _chunk(self, names: Sequence[str], plan: _Plan, out: _Out) -> None:
        """Take in some files in as few commits as can be."""
        view = self.view
        with view.alone(), view.opened() as files:
            found: dict[str, Found] = {}
            for name in names:
                try:
                    taken = view.take(files.tree, name)
                except BadInput as error:
                    out.problems[name] = str(error)
                    continue
                if taken is None:
                    out.waiting.append(name)
                else:
                    found[name] = taken
            for part in _in_commits(found):
                for write in self._commit(files, part, plan, out):
                    self._note(files, write)
                    if write.taken:
                        out.taken.append(write.taken)

    def _commit(self, files: Files, found: Mapping[str, Found], plan: _Plan, out: _Out) -> list[Write]:
        """Commit what the files come to, all in one commit if nobody else writes one of them meanwhile."""
        for _ in range(_ATTEMPTS):
            writes = []
            for name, text in found.items():
                try:
                    write = plan(files.tree, name, text)
                    self._let_in(name, write)
                    writes.append(write)
                except BadInput as error:
                    out.problems[name] = str(error)
            ops = [op for write in writes for op in write.ops]
            try:
                if ops:
                    self._me.commit(_subject(writes), ops, by_hand=True)
                return writes
            except Conflict:
                if len(found) > 1:  # one by one: a conflict of one must not hold up the others
                    return [write for name in found for write in self._commit(files, {name: found[name]}, plan, out)]
        out.waiting.extend(found)  # others change it all the time: it is tried again
        return []

    def _let_in(self, name: str, write: Write) -> None:
        """Raises BadInput where a gate keeps `write` out, which is noted once."""
        why = next(filter(None, map(self._me.why_not, write.ops)), "")
        if why and self.view.manifest.problems().get(name) != why:
            entries = [op.entry for op in write.ops]
            self._swarm.record.add("ingest", self._me.session, entries, "Refused", f"{name}: {why}")
        if why:
            raise BadInput(why)

    def _note(self, files: Files, write: Write) -> None:
        """Know what was committed, and take a file that has another place now out of the way."""
        view, row = self.view, write.row
        with view.manifest.writing():
            if write.hand:
                view.manifest.set_hand(row.path, write.hand)
            if write.moved_from is not None:
                version = write.became or row.version
                view.manifest.set_dropped(write.moved_from, row.path, version, self._env.now())
                view.manifest.owe([row.path])
            else:
                view.manifest.put(row)
                if write.owed:
                    view.manifest.owe([row.path])
            if write.moved_from is not None:
                try:
                    if view.set_aside(files, write.moved_from, row):
                        files.tree.prune(write.moved_from)
                except FileNotFoundError:
                    pass  # the hand took it away itself

    def _asides(self, files: Files, out: _Out) -> None:
        """Take in what editors wrote into files that had just been put aside."""
        for left, found in self.view.written_aside(files):
            name = f"../aside/{left.name}"
            if found.blob in versions_of(self._store, left.path):
                files.aside.remove(left.name)
                continue
            row = Row(left.path, left.version, left.shown, None, 0)

            def plan(_: Tree, name: str, found: Found, row: Row = row) -> Write:
                if not is_shown(row.path):
                    raise BadInput("a text that was saved while its file was being moved; take what you need of it")
                return self._work.edited(row, found)

            for write in self._commit(files, {name: found}, plan, out):
                # Whoever wrote may still have it open: it stays until it is quiet and holds just this.
                later = files.aside.name(left.path, write.became or left.version, found.blob)
                os.rename(left.name, later, src_dir_fd=files.aside.fd, dst_dir_fd=files.aside.fd)
                files.aside.settle(later, found.blob)
                self.view.manifest.owe([left.path])
                if write.hand:
                    self.view.manifest.set_hand(left.path, write.hand)
                if write.taken:
                    out.taken.append(write.taken)

    def _missing(self, missing: Sequence[str], looked_at: _Area, deletions: bool, out: _Out) -> None:
        """Retract what a hand deleted, unless so much is gone that it can hardly be meant."""
        view, now = self.view, self._env.monotonic()
        self._gone = {
            **{path: since for path, since in self._gone.items() if path not in looked_at},
            **{path: self._gone.get(path, now) for path in missing},
        }
        if not missing:
            return
        with view.alone(), view.opened() as files:
            held = set() if deletions else _held(missing, view.manifest.count(), files)
            if held:
                out.problems[os.path.commonpath([os.path.dirname(path) for path in held]) or "."] = (
                    f"{len(held)} files are gone at once, which is not taken for retractions: "
                    "`swarm view refresh` brings them back, `swarm ingest --deletions` retracts them"
                )
            for path in missing:
                if path in held:
                    continue
                if now - self._gone[path] < self._grace:
                    out.waiting.append(path)
                elif files.tree.stat(path) is None:
                    out.taken.append(self._retract(path))
                    view.manifest.drop(path)
                    view.manifest.owe([path])
                    del self._gone[path]

    def _retract(self, path: str) -> Taken:
        id, row = id_of(path), self.view.manifest.row(path)
        if id is None or row is None or kind_of(id) == "tombstone":
            return Taken("kept", path, path)
        try:
            self._me.retract(id, "deleted by hand", base=row.version, by_hand=True)
        except (Conflict, NotFound):
            return Taken("kept", path, id)  # changed or retracted by somebody meanwhile
        return Taken("retracted", path, id)

    @property
    def _me(self) -> Agent:
        agent = self._swarm.agent(self._acting) or self._swarm.agent(HUMAN)
        if agent is None:
            raise NotFound(f"no session for {HUMAN}")
        return agent

    @property
    def _work(self) -> Handwork:
        return Handwork(self._store, self.view.manifest, self._me.name, self._env)


def _held(missing: Sequence[str], total: int, files: Files) -> set[str]:
    """Files that are gone in such a way that it can hardly be meant."""
    if len(missing) > max(_MANY, _SHARE * total):
        return set(missing)
    return {path for path in missing if files.tree.stat(os.path.dirname(path)) is None}


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    rest = list(names)
    for start in range(0, len(rest), _CHUNK):
        yield rest[start : start + _CHUNK]


def _in_commits(found: Mapping[str, Found]) -> Iterator[dict[str, Found]]:
    """The files in groups of a bearable size."""
    part: dict[str, Found] = {}
    size = 0
    for name, one in found.items():
        if part and size + len(one.text) > _COMMIT_BYTES:
            yield part
            part, size = {}, 0
        part[name] = one
        size += len(one.text)
    if part:
        yield part


def _subject(writes: Sequence[Write]) -> str:
    taken = [write.taken for write in writes if write.taken]
    return f"by hand: {taken[0].what} {taken[0].id}" if len(taken) == 1 else f"by hand: {len(taken)} files"
