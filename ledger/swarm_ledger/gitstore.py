"""The git store: a bare repository of our own, written by daemonless group commit.

leader.py commits, spool.py brings requests and answers, state.py is what is read.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from errno import EACCES
from typing import TYPE_CHECKING, Any, TypeVar

from . import refs
from .chain import CacheError
from .decide import check_request
from .directory import Directory
from .env import Env, storage_error
from .errors import BadInput, Busy, Conflict, Damaged, NewerFormat, NotFound, SwarmError, Unconfirmed
from .filelock import FileLock
from .git import cat_blobs
from .leader import FORMAT, Leader, receipt_from_history
from .leasefile import LeaseFile
from .objects import blob_id
from .place import network_filesystem
from .spool import Mailbox, Outcome, Spool, decode_outcome
from .state import State
from .store import BlobId, Changes, Commit, CommitId, Put, Receipt, Request, Version

if TYPE_CHECKING:
    from .chain import Joining
    from .doctor import Finding
    from .remotes import Remote
    from .views import Views

__all__ = ["GitStore", "create_repository", "lay_out"]

_T = TypeVar("_T")

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tfilemode = true
\tlogallrefupdates = false
\tmultiPackIndex = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[receive]
\tdenyNonFastForwards = true
[user]
\tname = swarm-ledger
\temail = swarm-ledger@swarm-ledger.invalid
"""

_DIRECTORIES = ("objects/pack", "objects/info", "refs/heads", "refs/tags", "info", "hooks")

SETTINGS = f"""\
# Settings that everyone who uses this ledger shares. The format is described in ledger/FORMAT.md of swarm-ledger.
format: {FORMAT}
"""

STRICT = f"""\
{SETTINGS}# What a write must pass: `refuse` or `off`, size in bytes. docs/EVIDENCE.md says what each gate is for.
gates: {{provenance: refuse, duplicate: refuse, loop: refuse, secrets: refuse, size: 32768}}
"""
"""The settings of a ledger that people begin: there a fact must say what it rests on."""


def create_repository(home: str, env: Env) -> None:
    """Make an empty ledger in `home` unless one is there. Safe when many do it at once.

    Raises BadInput on a network file system, where neither locks nor renames hold, and StorageError.
    """
    kind = network_filesystem(home)
    if kind:
        raise BadInput(
            f"{home} is on a network file system ({kind}), where locks do not hold; "
            "set SWARM_HOME to a local directory."
        )
    ledger = f"{home}/ledger.git"
    try:
        os.makedirs(f"{home}/tmp", exist_ok=True)
        if os.path.isdir(ledger):
            return
        draft = f"{home}/tmp/ledger-{env.rng.getrandbits(64):016x}"
        lay_out(draft, env)
        with contextlib.suppress(FileExistsError):
            try:
                env.disk.rename(draft, ledger)
                for name in os.listdir(home):  # what was derived from a ledger that is gone
                    if name.startswith("state.db"):
                        os.unlink(f"{home}/{name}")
                from shutil import rmtree

                rmtree(f"{home}/index", ignore_errors=True)
            except OSError:
                if not os.path.isdir(ledger):  # another process was first
                    raise
        for directory in (home, os.path.dirname(home)):
            env.disk.sync_directory(directory)
    except OSError as error:
        raise storage_error(error, "making the ledger") from error


def lay_out(ledger: str, env: Env, *, make: bool = True) -> list[str]:
    """Make what of a repository is not there, but objects and refs; its names. Raises OSError."""
    files = {"HEAD": f"ref: refs/heads/{refs.BRANCH}\n", "config": _CONFIG}
    lacking = [name for name in (*_DIRECTORIES, *files) if not os.path.exists(f"{ledger}/{name}")]
    if lacking and make:
        for name in lacking:
            if name in files:
                env.disk.create(f"{ledger}/{name}", files[name].encode())
            else:
                os.makedirs(f"{ledger}/{name}", exist_ok=True)
        for name in ("objects", "refs", ""):
            env.disk.sync_directory(f"{ledger}/{name}")
    return lacking


class GitStore:
    """A ledger in `home`, which `create_repository` has made. One object for one process and its threads."""

    def __init__(
        self,
        home: str,
        env: Env | None = None,
        *,
        patience: float = 30.0,
    ) -> None:
        """`patience`: seconds that a write waits for a leader that does not go on, before Busy or Unconfirmed."""
        self.home = home
        self.ledger = f"{home}/ledger.git"
        self._env = env or Env()
        self._patience = patience
        self._mutex = threading.RLock()
        self._pid = -1
        self._mailbox: Mailbox | None = None
        if not os.path.isdir(f"{self.ledger}/objects"):
            raise NotFound(f"no ledger in {home} yet; run `swarm init`.")
        self._reset()
        _STORES.add(self)

    def _reset(self) -> None:
        """Begin with own descriptors; again after a fork, whose child must not use its parent's."""
        self._pid = os.getpid()
        self._first_tenure = True
        self._mailbox = None
        self._views: Views | None = None
        self._others = 0
        try:
            os.makedirs(f"{self.home}/tmp", exist_ok=True)
            self._spool = Spool(f"{self.home}/queue", self._env)
        except OSError as error:
            raise storage_error(error, "opening the ledger") from error
        self._lock = FileLock(f"{self.home}/commit.lock")
        self._state = State(f"{self.home}/state.db", self.ledger, self._env)
        self._leases = LeaseFile(self.home, self._env)
        self._leader = Leader(self.ledger, f"{self.home}/tmp", self._spool, self._state, self._env, self._leases)

    def _enter(self) -> None:
        if self._pid != os.getpid():
            self._reset()

    def _leave_to_parent(self) -> None:
        """In a forked child: nothing that is shared with the parent is used or, where closing tells, closed."""
        self._mutex = threading.RLock()  # a thread that is not here may have held it
        self._pid = -1
        _INHERITED.extend((self._state, self._leases))  # closing SQLite's files here would drop the parent's locks
        self._lock.close()  # the parent's lock would outlive it otherwise
        if self._mailbox is not None:
            self._mailbox.abandon()
            self._mailbox = None

    @property
    def directory(self) -> Directory:
        """See Store.directory."""
        self._enter()
        return self._leases

    # Reading

    def tip(self) -> CommitId | None:
        """See Store.tip."""
        return refs.require(self.ledger, None)

    def _fresh(self) -> State:
        """The state cache, brought up to the branch."""
        self._enter()
        state = self._state
        cached, format = state.reflects()
        tip = refs.require(self.ledger, cached)
        if tip is not None and cached != tip:
            # Either a leader is between the ref and the cache, or the commit is another git's: wait, look again.
            # A leader that is stopped just there must not stop readers: the cache is then still one commit's
            # state, with every write that was acknowledged.
            impatience = contextlib.suppress(Busy) if cached else contextlib.nullcontext()
            with impatience, state.writing(patience=0.25 if cached else 10.0):
                tip = refs.read(self.ledger)
                if tip is not None and state.commit() != tip:
                    state.catch_up(tip)
            format = state.reflects()[1]
        if format > FORMAT:
            raise NewerFormat("this ledger was written by a newer swarm-ledger; upgrade to read it.")
        return state

    def _is_fresh(self, state: State) -> bool:
        """Whether the open read transaction is of the branch's tip, so that there is nothing to wait for."""
        commit, format = state.reflects()
        return commit is not None and format <= FORMAT and refs.read(self.ledger) == commit

    def _reading(self, action: Callable[[State], _T]) -> _T:
        """`action` on the cache as of one commit; again on a new one where the old proves damaged or was deleted."""
        with self._mutex, _reporting():
            for _ in range(10):
                self._enter()
                state = self._state
                try:
                    with state.reading():
                        if self._is_fresh(state):
                            return action(state)
                    self._fresh()
                    with state.reading():
                        if state.commit() is not None or refs.read(self.ledger) is None:
                            return action(state)
                except CacheError:
                    with state.writing():
                        state.forget()
                except sqlite3.Error as error:
                    state.heal(error)
            if not os.access(self.home, os.W_OK):
                raise storage_error(PermissionError(EACCES, os.strerror(EACCES), self.home), "reading the ledger")
            raise Busy(
                f"{self.home}/state.db is replaced or damaged again and again; end what does it, then try again."
            )

    def read(self, path: str) -> Version | None:
        """See Store.read."""
        return self._reading(lambda state: _checked(state.read(path)))

    def read_many(self, paths: Sequence[str]) -> dict[str, Version]:
        """See Store.read_many."""

        def read(state: State) -> dict[str, Version]:
            found = (_checked(state.read(path)) for path in paths)
            return {version.path: version for version in found if version}

        return self._reading(read) if paths else {}

    def differing(self, known: Mapping[str, BlobId]) -> dict[str, BlobId | None]:
        """See Store.differing."""
        return self._reading(lambda state: state.differing(known))

    def blob(self, version: BlobId) -> bytes:
        """See Store.blob."""
        if len(version) != 40 or not set(version) <= set("0123456789abcdef"):
            raise NotFound(f"{version!r} is not the name of a version: 40 hex digits, as `swarm history` shows them.")
        with _reporting():
            return next(cat_blobs(self.ledger, [version]))

    def paths(self, prefix: str = "") -> Iterator[tuple[str, BlobId]]:
        """See Store.paths."""
        return iter(self._reading(lambda state: list(state.paths(prefix))))

    def changes(self, mark: str | None) -> Changes:
        """See Store.changes."""
        return self._reading(lambda state: state.changes(mark))

    def history(self, path: str | None = None, limit: int | None = None) -> Iterator[Commit]:
        """See Store.history."""
        from .history import read_history

        return read_history(self.ledger, self.tip(), path, limit)

    # Writing

    def submit(self, request: Request) -> Receipt:
        """See Store.submit."""
        check_request(request)
        with self._mutex:
            self._enter()
            outcome = self._submit(request)
        if not isinstance(outcome, Receipt):
            raise outcome
        return outcome

    def _submit(self, request: Request) -> Outcome:
        env = self._env
        try:
            if self._mailbox is None:
                self._mailbox = self._spool.mailbox(f"{env.rng.getrandbits(64):016x}")
            name = self._spool.put(request, self._mailbox.token)
        except OSError as error:
            raise storage_error(error, "writing the ledger") from error
        answered = False
        try:
            outcome, answered = self._await(request, name, self._mailbox)
            return outcome
        except (OSError, sqlite3.Error) as error:
            if self._spool.withdraw(name):
                os_error = error if isinstance(error, OSError) else OSError(None, str(error))
                raise storage_error(os_error, "writing the ledger") from error
            return self._taken_by_somebody(request, f"this process failed ({error})")
        except BaseException:
            self._spool.withdraw(name)
            raise
        finally:
            if not answered:  # see Spool._spare
                self._mailbox.close()
                self._mailbox = None

    def _await(self, request: Request, name: str, mailbox: Mailbox) -> tuple[Outcome, bool]:
        """The outcome, and whether a leader answered (rather than that it was found out)."""
        env = self._env
        deadline = env.monotonic() + self._patience
        pause = 0.1
        messages: list[dict[str, Any]] = []
        while True:
            if self._lock.try_acquire():
                messages = mailbox.wait(0)  # the last leader may have answered just now
                if messages:
                    self._lock.release()
                else:
                    outcome = self._lead(name)
                    messages = mailbox.wait(0 if outcome else pause)
                    if outcome is not None:
                        return outcome, True
            else:
                messages = mailbox.wait(pause)
            for message in messages:
                if message.get("request") == request.id and not message.get("recorded"):
                    return decode_outcome(request.id, message), True
            if not messages or any(message.get("request") == request.id for message in messages):
                # No wake-up: a leader may have died after the ref moved, or the mailbox was deleted.
                outcome = self._recorded(request)
                if outcome is not None:
                    return outcome, False
                pause = min(pause * 2, 0.2)
            if env.monotonic() > deadline:
                return self._give_up(request, name), False

    def _lead(self, name: str) -> Outcome | None:
        """Be the leader, the lock being held; the outcome of the request `name` if it was among those served."""
        with self._tenure() as (unclean, expected):
            outcome, expected = self._leader.serve(name, leftovers=unclean, expected=expected)
            self._first_tenure = False
            self._others = max(0, expected - 1)
            if self._leader.left_in_order:
                self._lock.write_note(str(expected))
        return outcome

    @contextlib.contextmanager
    def _tenure(self) -> Iterator[tuple[bool, int]]:
        """The leader's time, the lock being held.

        (whether a leader that died may have left requests taken, how many requests the last one saw coming).
        What a dead one left in the repository is removed first, and the lock released at the end.
        """
        lock, spool = self._lock, self._spool
        # An interrupt waits for the end of the tenure, which is short.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            note = lock.note()
            unclean = self._first_tenure or not note.isdecimal()
            expected = int(note) if note.isdecimal() else 0
            lock.write_note(json.dumps({"pid": os.getpid(), "since": round(self._env.now(), 3)}))
            self._env.point("leading")
            if unclean:
                with self._state.writing():  # another leader's files are not here while it works
                    refs.remove_leftovers(self.ledger, self._env)
                    self._remove_scratch()
            yield unclean, expected
        finally:
            lock.release()
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        # What was decided stands: nothing that goes wrong from here on may look as if it had not been written.
        with contextlib.suppress(OSError, sqlite3.Error, SwarmError):
            # Whoever queued after the last look, and found the lock held, is waiting for this.
            waiting = spool.waiting()
            if waiting:
                spool.wake(waiting[0])
            from .compact import compact_if_due  # here, as in `doctor`: a command that reads starts without it

            compact_if_due(self.home, self._env)
            self._refresh_views(busy=bool(waiting) or self._others > 0)

    def _refresh_views(self, busy: bool) -> None:
        """Show what was written in the worktrees that have a view; now and then only while others write too."""
        if not os.path.isdir(f"{self.home}/views"):
            return
        if self._views is None:
            from .views import Views

            self._views = Views(self.home, self._env)
        self._views.refresh_if_due(self, busy)

    def advance(self, step: Callable[[CommitId | None], Joining | CommitId | None]) -> CommitId | None:
        """Move the branch to where `step`, told the tip, says; the tip after. See Leader.advance.

        Writers wait meanwhile. Raises Busy when a leader does not go on, and what Leader.advance raises.
        """
        with self._mutex, _reporting():
            self._enter()
            if not self._lock.acquire(self._env, self._patience, 0.005):
                raise Busy(f"{self._held()}; nothing was merged. Resume or end it, then try again.")
            with self._tenure() as (unclean, expected):
                tip = self._leader.advance(step)
                if not unclean and self._leader.left_in_order:
                    self._lock.write_note(str(expected))  # else the next leader looks for requests that were taken
                return tip

    def _remove_scratch(self) -> None:
        for name in os.listdir(f"{self.home}/tmp"):
            if name.endswith((".pack", ".idx")) and not name.startswith("merge-"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self.home}/tmp/{name}")

    def _recorded(self, request: Request) -> Outcome | None:
        state = self._state
        tip = refs.read(self.ledger)
        if tip is None or state.commit() != tip:
            return None  # a leader is at work; its batch may hold the request
        row = state.request(request.id)
        if row is None:
            return None
        commit, refusal = row
        if commit:
            return receipt_from_history(self.ledger, request, commit)
        return decode_outcome(request.id, json.loads(refusal or "{}"))

    def _give_up(self, request: Request, name: str) -> Outcome:
        waited = self._held()
        if self._spool.withdraw(name):
            return Busy(f"{waited}; nothing was written. Resume or end it, then try again.")
        return self._taken_by_somebody(request, waited)

    def _taken_by_somebody(self, request: Request, why: str) -> Outcome:
        """The outcome of a request that can not be withdrawn any more, found out if it can be."""
        with contextlib.suppress(OSError, sqlite3.Error, SwarmError):
            with self._state.writing(patience=1.0):  # whoever is at work on it ends first
                outcome = self._recorded(request)
            if outcome is not None:
                return outcome
        return Unconfirmed(
            request.id,
            f"{why}, and a leader has this write (request {request.id}): it will be finished or dropped. "
            "Look with `swarm history` before you repeat it.",
        )

    def _held(self) -> str:
        """Who does not go on."""
        holder: object = None
        with contextlib.suppress(ValueError):
            holder = json.loads(self._lock.note())
        who = f"process {holder['pid']}" if isinstance(holder, dict) and "pid" in holder else "another process"
        return f"{who} has held the ledger for over {self._patience:.0f} s without going on"

    def initialise(self, agent: str, request: str, settings: str = SETTINGS) -> None:
        """Make the first commit, the shared settings, unless somebody has."""
        if self.tip() is not None:
            return
        first = Put("swarm.yaml", "swarm.yaml", settings.encode(), None)
        with contextlib.suppress(Conflict):
            self.submit(Request(request, agent, "init", int(self._env.now()), "Begin the ledger", (first,)))

    # Looking after it

    def doctor(self, fix: bool = False, remote: Remote | None = None) -> list[Finding]:
        """What is wrong, and with `fix` what of it was mended, lost objects from `remote`; [] in a sound ledger."""
        from .doctor import examine

        with self._mutex, _reporting():
            return examine(self.home, self._env, fix, remote)

    def gc(self) -> None:
        """Repack everything as small as it gets, and index history by path."""
        from .compact import gc

        with _reporting():
            with self._mutex:
                self._fresh()  # a ledger without its branch, or of a newer format, is left alone
            gc(self.home, self._env)
            with self._mutex:
                self._fresh().vacuum()

    def close(self) -> None:
        """See Store.close."""
        if self._pid != os.getpid():
            return
        if self._views is not None:
            self._views.close(self)
            self._views = None
        self._state.close()
        self._leases.close()
        self._lock.close()
        if self._mailbox is not None:
            self._spool.leave(self._mailbox.token)
            self._mailbox.close()
            self._mailbox = None


def _checked(version: Version | None) -> Version | None:
    if version and blob_id(version.text) != version.blob:
        raise CacheError(version.path)
    return version


_STORES: weakref.WeakSet[GitStore] = weakref.WeakSet()
_INHERITED: list[State | LeaseFile] = []


_forking: list[GitStore] = []


def _before_fork() -> None:
    # No thread may be inside SQLite: the locks of the library itself would stay held in the child.
    _forking[:] = sorted(_STORES, key=id)
    for store in _forking:
        store._mutex.acquire()
        store._leases.lock.acquire()


def _after_fork_in_parent() -> None:
    for store in _forking:
        store._leases.lock.release()
        store._mutex.release()


def _after_fork_in_child() -> None:
    for store in _forking:
        store._leave_to_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


@contextlib.contextmanager
def _reporting() -> Iterator[None]:
    """OSError and SQLite's errors as ours."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, "reading the ledger") from error
    except sqlite3.Error as error:
        raise Damaged(f"the state cache cannot be read ({error}); run `swarm doctor`.") from error
