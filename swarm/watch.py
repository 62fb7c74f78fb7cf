"""Watching a view: what hands do is taken in as it happens, what agents write is shown.

The system's events only wake it up, because they get lost in bursts: what counts is the look at the files that
follows, and one at all of them after every burst and now and then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from swarm_ledger.env import storage_error
from swarm_ledger.errors import Busy, TryAgain
from swarm_ledger.view import View

from .api import Swarm
from .ingest import Ingest, Result

__all__ = ["watch"]

_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent),
]
"""Not the opening and reading of files, which we do ourselves."""

_QUIET_S = 0.05
"""A burst is over when nothing happened for so long."""

_LONGEST_S = 0.5
"""So long at most a burst is waited for."""

_TICK_S = 0.1
"""How often it is looked whether agents wrote something that nobody has shown."""

_AFTER_S, _EVERY_S = 1.0, 10.0
"""All files are looked at so long after a burst, and so often at least."""

_SHARE, _RARELY_S = 50, 30.0
"""Looking at all files takes at most one part in so many of the time, but it is never put off for longer."""

_AT_ONCE = 256

_GRACE_S = 2.0
"""A file that is gone for so long was deleted: editors take it away for a moment while they save."""


class _Wakeups(FileSystemEventHandler):
    """Collects the files and directories in which something happened."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._mutex = threading.Lock()
        self._paths: dict[str, bool] = {}
        self.happened = threading.Event()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note it."""
        with self._mutex:
            for path in (event.src_path, event.dest_path):
                if path:
                    self._paths[os.fsdecode(path)] = event.is_directory
        self.happened.set()

    def take(self) -> tuple[set[str], set[str]]:
        """(directories, files) since the last call, relative to the view; "" is the view itself."""
        with self._mutex:
            found, self._paths = self._paths, {}
            self.happened.clear()
        directories: set[str] = set()
        names: set[str] = set()
        for path, is_directory in found.items():
            inside = path[len(self._root) + 1 :]
            if path == self._root or path.startswith(f"{self._root}/"):
                (directories if is_directory else names).add(inside)
        return directories, names


def watch(
    swarm: Swarm,
    view: View,
    told: Callable[[Result], None],
    note: Callable[[str], None],
    *,
    until: Callable[[], bool] = lambda: False,
    acting: str | None = None,
) -> None:
    """Take in what hands do in `view` until `until` says so or the process is interrupted; several may watch at once.

    `told` gets each result that says something, `note` is told what is amiss with the watching itself.
    """
    _Watch(swarm, view, told, note, acting).run(until)


class _Watch:
    def __init__(
        self,
        swarm: Swarm,
        view: View,
        told: Callable[[Result], None],
        note: Callable[[str], None],
        acting: str | None,
    ) -> None:
        self._swarm, self._view, self._told, self._note = swarm, view, told, note
        self._now, self._sleep = swarm.env.monotonic, swarm.env.sleep
        self._ingest = Ingest(swarm, view, acting=acting, grace=_GRACE_S)
        self._problems: dict[str, str] = {}
        self._full_due = 0.0
        self._full_took = 0.0
        self._again: set[str] = set()
        self._shown: str | None = None
        self._tip: str | None = None
        self._quiet_since = self._show_due = 0.0
        self._said = ""

    def run(self, until: Callable[[], bool]) -> None:
        """Look, wait, look again."""
        wakeups = _Wakeups(self._view.root)
        observer: BaseObserver | None = None
        watched = 0
        try:
            while not until():
                if observer is None or _inode(self._view.root) != watched:
                    self._look({""}, set())  # which makes the directory where it is gone
                    if observer is not None:
                        _stop(observer)
                    observer, watched = self._observe(wakeups), _inode(self._view.root)
                    self._full_due = 0.0  # for what happened before it was watched
                woken = wakeups.happened.wait(_TICK_S)
                if woken:
                    self._until_quiet(wakeups)
                directories, names = wakeups.take()
                if self._now() >= self._full_due:
                    directories = {""}
                if directories or names or self._again:
                    self._look(directories, names | self._again)
                    if woken:
                        soon = self._now() + min(_RARELY_S, max(_AFTER_S, _SHARE * self._full_took))
                        self._full_due = min(self._full_due, soon)
                self._show_if_due()
        finally:
            if observer is not None:
                _stop(observer)

    def _observe(self, wakeups: _Wakeups) -> BaseObserver:
        observer = Observer()
        try:
            observer.schedule(wakeups, self._view.root, recursive=True, event_filter=_EVENTS)
            observer.start()
        except OSError as error:  # too many watches, say
            self._note(f"the system does not tell of changes ({error.strerror}); looking every {_EVERY_S:.0f} s")
        return observer

    def _look(self, directories: set[str], names: set[str]) -> None:
        """Take in what is found, and remember what to look at again."""
        full = "" in directories
        began = self._now()
        try:
            result = self._ingest.run([""] if full else sorted(directories), [] if full else sorted(names))
        except TryAgain as error:
            if not isinstance(error, Busy):
                self._say(str(error))
                self._sleep(_AFTER_S)
            self._again = names
            self._full_due = 0.0 if directories else self._full_due
            return
        self._said = ""
        self._again = set(result.waiting)
        if full:
            self._full_took = self._now() - began
            self._full_due = self._now() + min(_RARELY_S, max(_EVERY_S, _SHARE * self._full_took))
        news = {name: why for name, why in result.problems.items() if self._problems.get(name) != why}
        self._problems = dict(result.problems) if full else {**self._problems, **result.problems}
        if result.taken or news:
            self._told(Result(result.taken, news, ()))

    def _show_if_due(self) -> None:
        """Show what agents wrote and did not show: when they pause, else some of it now and then."""
        tip, now = self._swarm.store.tip(), self._now()
        if tip != self._tip:
            self._tip, self._quiet_since = tip, now
        paused = now - self._quiet_since >= _TICK_S
        if tip == self._shown or (not paused and now < self._show_due):
            return
        self._show(paused)
        self._show_due = self._now() + max(_AFTER_S, _SHARE * (self._now() - now))

    def _show(self, whole: bool) -> None:
        """Some files at a time, so that others get at the view in between."""
        tip = self._swarm.store.tip()
        try:
            while True:
                with self._view.alone(patience=1.0):
                    number = self._view.refresh(self._swarm.store, _AT_ONCE)
                if number < _AT_ONCE:
                    break
                if not whole:
                    return
        except Busy:
            return
        except OSError as error:
            self._say(str(storage_error(error, "showing the ledger")))
            self._sleep(_AFTER_S)
            return
        self._shown = tip

    def _say(self, message: str) -> None:
        if message != self._said:
            self._note(message)
            self._said = message

    def _until_quiet(self, wakeups: _Wakeups) -> None:
        deadline = self._now() + _LONGEST_S
        while self._now() < deadline:
            wakeups.happened.clear()
            if not wakeups.happened.wait(_QUIET_S):
                return


def _stop(observer: BaseObserver) -> None:
    if observer.is_alive():
        observer.stop()
        observer.join()


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0
