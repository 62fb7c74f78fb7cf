"""Which worktrees have a view, and who keeps it current: a process that has just been leader."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .env import Env, storage_error
from .errors import BadInput, SwarmError
from .manifest import DIRECTORY, Manifest
from .place import Place
from .store import Store

if TYPE_CHECKING:
    from .view import View

__all__ = ["Showing", "Views", "find", "main_worktree", "showing", "turn_off", "turn_on"]

_PAUSE_S = 0.02
_SHARE = 50
"""While several write, views take at most one part in so many of the time."""

_AT_ONCE = 64
"""So many files at most are brought up to date by a process that has a writer waiting for its return."""

_ROUNDS = 3

_FILE = "view.json"
_SHOWN = "shown"
"""Beside the files: which ledger's they are. Two in one place would each take in the other's as made by hand."""


class Showing(NamedTuple):
    """Where a view's files are, and which of a hand's could not be taken in: file → why."""

    directory: str
    problems: dict[str, str]


def showing(place: Place) -> Showing | None:
    """What the worktree of `place` shows, or None where its view is off. Raises StorageError."""
    if place.worktree is None or not os.path.exists(f"{_registration(place)}/{_FILE}"):
        return None
    try:
        with contextlib.closing(Manifest(f"{_registration(place)}/manifest.db")) as manifest:
            return Showing(f"{place.worktree}/{DIRECTORY}", manifest.problems())
    except (OSError, sqlite3.Error) as error:
        raise storage_error(OSError(None, str(error)), "reading the view's manifest") from None


def find(place: Place, env: Env) -> View | None:
    """The view of the worktree of `place`, or None where it is off."""
    if place.worktree is None:
        return None
    from .view import View

    directory = _registration(place)
    return View(directory, place.worktree, env) if os.path.exists(f"{directory}/{_FILE}") else None


def turn_on(place: Place, env: Env) -> View:
    """Register the view of the worktree of `place`; `refresh` then fills it.

    Raises BadInput, also where the worktree has a view of another ledger, StorageError.
    """
    from .view import View

    if place.worktree is None or place.common_dir is None:
        raise BadInput("no worktree here to show the ledger's files in; go into one, then `swarm view on`.")
    directory = _registration(place)
    try:
        _exclude(f"{place.common_dir}/info/exclude")
        for made in (directory, f"{place.worktree}/.swarm"):
            os.makedirs(made, exist_ok=True)
        if os.path.islink(f"{place.worktree}/.swarm"):
            raise BadInput(f"{place.worktree}/.swarm is a symbolic link; move it away, then `swarm view on`.")
        _mark(f"{place.worktree}/.swarm/{_SHOWN}", directory, env)
        # From the home, so that a repository can be moved; a worktree that lies elsewhere may be moved without it.
        inside = os.path.realpath(place.home).startswith(os.path.realpath(place.worktree) + "/")
        where = os.path.relpath(place.worktree, place.home) if inside else place.worktree
        scratch = f"{directory}/{_FILE}.{env.rng.getrandbits(64):016x}"
        env.disk.create(scratch, json.dumps({"worktree": where}).encode() + b"\n")
        env.disk.rename(scratch, f"{directory}/{_FILE}")
    except OSError as error:
        raise storage_error(error, "turning the view on") from None
    return View(directory, place.worktree, env)


def turn_off(view: View) -> list[str]:
    """Forget the view and remove its files; those that a hand wrote are left, and returned."""
    import shutil

    left: list[str] = []
    try:
        with view.alone():
            with view.opened() as files:
                for row in view.manifest.rows().values():
                    with contextlib.suppress(FileNotFoundError):
                        if view.is_edited(files.tree, row) or not view.set_aside(files, row.path, row):
                            left.append(row.path)
                        else:
                            files.tree.prune(row.path)
                left += sorted({path for path, _ in files.tree.walk()} - set(left))
                left += [f"../aside/{one.name}" for one in files.aside.left()]
            shutil.rmtree(view.registration)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{view.worktree}/.swarm/{_SHOWN}")
        view.close()
        for directory in (view.root, f"{view.worktree}/.swarm/aside", f"{view.worktree}/.swarm"):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
    except OSError as error:
        raise storage_error(error, "turning the view off") from None
    return left


def main_worktree(place: Place) -> Place | None:
    """The place of the main worktree of the repository of `place`; None where it has none."""
    from .git import git

    common = place.common_dir
    if common is None or place.worktree is None:
        return None
    if place.git_dir == common or os.path.realpath(place.git_dir or "") == os.path.realpath(common):
        found = place
    elif os.path.basename(common) == ".git":
        found = Place(place.home, common, common, os.path.dirname(common))
    else:
        return None
    bare = git(common, "config", "--bool", "--default", "false", "core.bare").strip() == b"true"
    return None if bare else found


class Views:
    """The views of one ledger, for a process that writes."""

    def __init__(self, home: str, env: Env) -> None:
        self._home, self._env = home, env
        self._open: dict[str, View] = {}
        self._skipped = False

    def refresh_if_due(self, store: Store, busy: bool) -> None:
        """Bring every view up to date, unless others write too and it was done lately. Never fails, never waits.

        What is left undone is done by those others, by a watcher, or at the end of this process. A view that another
        process is at is left to it: it looks again before it lets go.
        """
        self._skipped = False
        for view in self._registered():
            try:
                due = os.stat(f"{view.registration}/lock").st_mtime
            except FileNotFoundError:
                due = 0.0
            now = self._env.now()
            if busy and now < due < now + 60:
                self._skipped = True
                continue
            with contextlib.suppress(OSError, sqlite3.Error, SwarmError):
                self._refresh(view, store, busy)

    def _refresh(self, view: View, store: Store, busy: bool) -> None:
        for _ in range(1 if busy else _ROUNDS):
            shown = store.tip()
            if not view.lock.try_acquire():
                return
            try:
                began = self._env.now()
                view.refresh(store, _AT_ONCE)
                ended = self._env.now()
                pause = max(_PAUSE_S, _SHARE * (ended - began))
                os.utime(f"{view.registration}/lock", (ended + pause, ended + pause))
            finally:
                view.lock.release()
            if store.tip() == shown:  # else whoever wrote meanwhile may have found the lock taken
                return

    def _registered(self) -> Iterator[View]:
        base = f"{self._home}/views"
        try:
            names = os.listdir(base)
        except FileNotFoundError:
            return
        from .view import View

        for name in names:
            if name not in self._open:
                try:
                    with open(f"{base}/{name}/{_FILE}", encoding="utf-8") as file:
                        where = json.load(file)["worktree"]
                except (OSError, ValueError, KeyError, TypeError):
                    continue
                worktree = os.path.normpath(os.path.join(self._home, where))
                self._open[name] = View(f"{base}/{name}", worktree, self._env)
            view = self._open[name]
            if os.path.isdir(view.worktree) and os.path.exists(f"{base}/{name}/{_FILE}"):
                yield view

    def close(self, store: Store) -> None:
        """Do what was skipped, and release descriptors."""
        if self._skipped:
            self.refresh_if_due(store, busy=False)
        for view in self._open.values():
            view.close()
        self._open.clear()


def _registration(place: Place) -> str:
    """A worktree is known by its git directory, which stays when it is moved; the main one by being it."""
    own = os.path.realpath(place.git_dir or "")
    common = os.path.realpath(place.common_dir or "")
    key = "main" if own == common else f"worktree-{os.path.basename(own)}"
    if os.path.realpath(place.home) != f"{common}/swarm":  # a home that several repositories may share
        key += "-" + hashlib.sha256(os.fsencode(own)).hexdigest()[:8]
    return f"{place.home}/views/{key}"


def _mark(path: str, registration: str, env: Env) -> None:
    """Note in the file `path` which registration is shown here. Raises BadInput where another is."""
    registration = os.path.realpath(registration)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            other = file.read().rstrip("\n")
    except FileNotFoundError:
        other = ""
    if other == registration:
        return
    # Where ours is on already, this is a copy of the other's repository.
    if os.path.exists(f"{other}/{_FILE}") and not os.path.exists(f"{registration}/{_FILE}"):
        import shlex

        home = shlex.quote(os.path.dirname(os.path.dirname(other)))
        raise BadInput(
            f"the files of another ledger show in this worktree; `SWARM_HOME={home} swarm view off` turns that off."
        )
    scratch = f"{path}.{env.rng.getrandbits(64):016x}"
    env.disk.create(scratch, os.fsencode(f"{registration}\n"))
    env.disk.rename(scratch, path)


def _exclude(path: str) -> None:
    """Have git overlook the view, for this repository's owner only."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        text = b""
    if b".swarm/" not in text.split(b"\n"):
        with open(path, "ab") as file:
            file.write((b"" if not text or text.endswith(b"\n") else b"\n") + b".swarm/\n")
