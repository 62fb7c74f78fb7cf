"""Exchange with other clones, through the branch `swarm-ledger` of a remote: fetch, merge, push.

The network is used with no lock held that writers want; the merge commit lands under the store's own discipline. A
push never rewrites: it names the tip that it replaces, and what it brings descends from that. Killed anywhere, the
ledger is as sound as before, and the next sync goes on.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .chain import Joining
from .env import Env, storage_error
from .errors import Busy, NewerFormat, Refused, TryAgain, Unreachable
from .filelock import FileLock
from .fork import OURS, THEIRS
from .git import asks, git
from .gitstore import GitStore
from .ids import id_of, new_request
from .joining import MERGE_TRAILER, Differing, differing, joined, parted
from .leader import FORMAT
from .merge import SETTINGS
from .refs import BRANCH
from .remotes import Outcome, Remote, run
from .store import CommitId

__all__ = ["Synced", "sync"]

_REF = f"refs/heads/{BRANCH}"
_INCOMING = "refs/swarm/incoming"
_PATIENCE_S = 60.0
_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to update ref|reference already exists"
)
"""What git says of a push that came second."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did. `tip` is where both are now."""

    remote: str
    tip: CommitId
    received: int = 0
    """Commits that came, others' merges included."""
    sent: int = 0
    merge: CommitId | None = None
    """The last merge commit that had to be made."""
    contested: tuple[str, ...] = ()
    """Entries that keep what could not be merged."""


def sync(
    store: GitStore, remote: Remote, agent: str, session: str, env: Env | None = None, *, patience: float = _PATIENCE_S
) -> Synced:
    """Bring the ledger and its branch on `remote` to one tip that holds the writes of both.

    Raises Unreachable (nothing but syncing needs the remote), Refused where the remote lost history or holds what no
    ledger does, NewerFormat, Busy after `patience` seconds of others being quicker, and what a write raises.
    """
    env = env or Env()
    _check_whole(store)
    with _turn(store, env, patience):
        done = Synced(remote.shown, CommitId(""))
        deadline = env.monotonic() + patience
        pause = 0.05
        while True:
            theirs = _fetch(store, remote, env)
            if theirs is not None:
                done = _Merge(store, remote, theirs, agent, session, env).land(done)
            tip = store.tip()
            if tip is None:
                raise Unreachable(
                    f"neither this ledger nor {remote.shown} holds anything yet; write something, then sync."
                )
            if tip == theirs or _push(store, remote, tip, theirs):
                if tip != theirs:
                    sent = parted(store.ledger, tip, theirs).only(OURS) if theirs else _count(store, tip)
                    done = replace(done, sent=sent)
                    env.point("pushed")
                _note_seen(store, remote, tip, env)
                return replace(done, tip=tip)
            if env.monotonic() > deadline:
                raise Busy(
                    f"others pushed to {remote.shown} quicker for {patience:.0f} s; nothing is lost. Sync again."
                )
            env.point("sync-raced")
            env.sleep(env.rng.uniform(0, pause))
            pause = min(2 * pause, 2.0)


def _check_whole(store: GitStore) -> None:
    if os.path.exists(f"{store.ledger}/shallow"):
        raise Refused(
            "shallow",
            f"{store.ledger} is a shallow clone, and merging needs the whole history. "
            "Fetch it with `swarm git fetch --unshallow`, then sync again.",
        )


@contextlib.contextmanager
def _turn(store: GitStore, env: Env, patience: float) -> Iterator[None]:
    """One sync of a ledger at a time: two would only do the same work twice."""
    lock = FileLock(f"{store.home}/sync.lock")
    try:
        if not lock.acquire(env, patience, 0.05):
            raise Busy(f"another `swarm sync` of this ledger has been at work for {patience:.0f} s; try again.")
        _clear_incoming(store)
        yield
        _clear_incoming(store)
    except OSError as error:
        raise storage_error(error, "syncing the ledger") from error
    finally:
        lock.close()


def _fetch(store: GitStore, remote: Remote, env: Env) -> CommitId | None:
    """The remote's tip, with all that it descends from on disk; None where the remote has no such branch."""
    # A name of its own each time: git killed while it writes a ref leaves a lock that stops whoever wants that ref.
    incoming = f"{_INCOMING}/{env.rng.getrandbits(64):016x}"
    options = ("--no-tags", "--no-write-fetch-head", "--refmap=", "--no-recurse-submodules")
    done = run(store.ledger, remote, "-c", "core.fsync=all", "fetch", *options, "--", remote.url, f"+{_REF}:{incoming}")
    if "shallow roots are not allowed" in done.err:
        raise Refused(
            "shallow",
            f"{remote.shown} is a shallow clone, which does not hold the ledger's whole history. "
            "Run `git fetch --unshallow` there, or sync with the repository that it was cloned from.",
        )
    if done.code and "couldn't find remote ref" in done.err:
        seen = _ref(store, remote.tracking)
        if seen is not None:
            raise Refused(
                "history",
                f"{remote.shown} had the branch {BRANCH} at {seen}, and has none now; nothing was pushed.\n"
                f"{_ways_on(store, remote, seen)}",
            )
        return None
    if done.code:
        raise _unreachable(remote, done)
    env.point("fetched")
    theirs, seen = _ref(store, incoming), _ref(store, remote.tracking)
    if seen not in (None, theirs) and not asks(store.ledger, "merge-base", "--is-ancestor", f"{seen}", f"{theirs}"):
        raise Refused(
            "history",
            f"{remote.shown} lost history: its {BRANCH} was at {seen}, and is at {theirs}, which does not descend from "
            f"it. Nothing was merged or pushed.\n{_ways_on(store, remote, seen)}",
        )
    return theirs


def _unreachable(remote: Remote, done: Outcome) -> TryAgain:
    return Unreachable(
        f"{remote.shown} cannot be synced with: {done.reason}\n"
        "Only syncing needs it, and nothing is lost; look whether `git fetch` reaches it, then sync again."
    )


def _ref(store: GitStore, name: str) -> CommitId | None:
    """The commit of a ref that git keeps for us, loose as it was written or packed."""
    with contextlib.suppress(FileNotFoundError), open(f"{store.ledger}/{name}", encoding="ascii") as file:
        return CommitId(file.read().strip())
    found = git(store.ledger, "for-each-ref", "--format=%(objectname)", name).decode().strip()
    return CommitId(found) if found else None


def _count(store: GitStore, tip: CommitId) -> int:
    return int(git(store.ledger, "rev-list", "--count", tip))


def _note_seen(store: GitStore, remote: Remote, tip: CommitId, env: Env) -> None:
    """Remember `tip` as the remote's. By rename, since only one sync is at work: see `_fetch` for why not by git."""
    scratch = f"{store.home}/tmp/seen-{env.rng.getrandbits(64):016x}"
    target = f"{store.ledger}/{remote.tracking}"
    env.disk.create(scratch, f"{tip}\n".encode())
    os.makedirs(os.path.dirname(target), exist_ok=True)
    env.disk.rename(scratch, target)


def _clear_incoming(store: GitStore) -> None:
    """Drop the refs of fetches that are done with, and what killed syncs left."""
    for name in os.listdir(f"{store.home}/tmp"):
        if name.startswith("seen-"):
            os.unlink(f"{store.home}/tmp/{name}")
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(f"{store.ledger}/{_INCOMING}"):
            os.unlink(f"{store.ledger}/{_INCOMING}/{name}")


def _ways_on(store: GitStore, remote: Remote, seen: CommitId) -> str:
    return (
        f"If that was a mistake, put it back: `git --git-dir={store.ledger} push --force {remote.push_target} "
        f"{seen}:{_REF}`. If it was meant, forget what was there: `swarm git update-ref -d {remote.tracking}`; "
        "the next sync merges both."
    )


def _push(store: GitStore, remote: Remote, tip: CommitId, theirs: CommitId | None) -> bool:
    """Put `tip` in the place of `theirs`; False where another was quicker."""
    # The lease is what makes it a compare-and-swap also where the branch is gone or was not there; `tip` descends from
    # `theirs`, so nothing is forced.
    lease = f"--force-with-lease={_REF}:{theirs or ''}"
    options = ("--quiet", "--porcelain", "--no-verify", lease)
    done = run(store.ledger, remote, "push", *options, "--", remote.push_url, f"{tip}:{_REF}")
    if not done.code:
        return True
    refused = [line for line in done.out.splitlines() if line.startswith("!")]
    if any(_RACE.search(line) for line in refused):
        return False
    if refused:
        said = refused[0].rpartition("\t")[2]
        more = next((line.removeprefix("remote: ") for line in done.err.splitlines() if line.startswith("remote:")), "")
        raise Unreachable(
            f"{remote.shown} took no push to {BRANCH}: {said}{f' ({more.strip()})' if more.strip() else ''}\n"
            "What it had was merged here, and nothing is lost; have the branch allowed there, then sync again."
        )
    raise _unreachable(remote, done)


class _Merge:
    """Bringing `theirs` into the ledger."""

    def __init__(self, store: GitStore, remote: Remote, theirs: CommitId, agent: str, session: str, env: Env) -> None:
        self._store, self._remote, self._theirs, self._env = store, remote, theirs, env
        self._agent, self._session = agent, session
        self._made: tuple[CommitId | None, Joining | CommitId | None] | None = None
        self._received = 0

    def land(self, done: Synced) -> Synced:
        """Move the branch so that it holds `theirs`; `done` with what that brought."""
        ledger, theirs = self._store.ledger, self._theirs
        if self._store.tip() == theirs:
            return done
        # Worked out before writers have to wait; they only do if one was quicker, and then for the little more.
        self._work_out(self._store.tip())
        self._env.point("merge-ready")
        tip = self._store.advance(self._step)
        self._env.point("merged-here")
        target = self._made[1] if self._made else None
        if tip is None or not isinstance(target, Joining):
            return replace(done, received=done.received + self._received)
        # A contested entry is new where neither parent has it.
        fresh = git(ledger, "diff-tree", "-r", "-c", "--name-only", "--no-commit-id", tip, "--", "contested/")
        ids = filter(None, map(id_of, fresh.decode().splitlines()))
        return replace(
            done,
            received=done.received + self._received,
            merge=tip,
            contested=tuple(sorted({*done.contested, *ids})),
        )

    def _step(self, tip: CommitId | None) -> Joining | CommitId | None:
        if self._made is None or self._made[0] != tip:
            self._work_out(tip)
        return self._made[1] if self._made else None

    def _work_out(self, tip: CommitId | None) -> None:
        self._made = (tip, self._target(tip))

    def _target(self, tip: CommitId | None) -> Joining | CommitId | None:
        ledger, theirs = self._store.ledger, self._theirs
        if tip is None:
            self._received = _count(self._store, theirs)
            self._check(differing(ledger, tip, theirs))
            return theirs
        fork = parted(ledger, tip, theirs)
        ours, self._received = fork.only(OURS), fork.only(THEIRS)
        if not self._received:
            return None
        different = differing(ledger, tip, theirs)
        self._check(different)
        if not ours:
            return theirs
        trailers = (
            ("Agent", self._agent),
            ("Session", self._session),
            ("Request", new_request(self._env.rng)),
            (MERGE_TRAILER, theirs),
        )
        subject = f"Merge {self._remote.name}: {self._received} of theirs, {ours} of ours"
        writes = joined(ledger, tip, theirs, fork, different)
        return Joining(theirs, self._agent, int(self._env.now()), subject, trailers, writes)

    def _check(self, different: Differing) -> None:
        """Raise NewerFormat for a ledger that this program must not take in."""
        _, version = different.get(SETTINGS, (None, None))
        text = git(self._store.ledger, "cat-file", "blob", version) if version else b""
        found = re.search(rb"^format:[ \t]*(\d+)", text, re.MULTILINE)
        if found and int(found[1]) > FORMAT:
            raise NewerFormat(
                f"the ledger on {self._remote.shown} was written by a newer swarm-ledger; upgrade to sync with it."
            )
