"""The leader: whoever holds the commit lock takes what is queued and commits it, one pack and one ref move a batch.

On disk, in this order: the pack and its index are written outside the repository and fsynced; they are renamed
into it beside a `.keep`, and the directory is fsynced; the ref moves by compare-and-swap and its directory is
fsynced; then the writers are answered. A leader that dies at any point leaves either nothing or a finished batch.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

from . import refs
from .chain import CacheError, Chain, Joining, TreeCache
from .decide import Draft, check_leases, guarded
from .directory import Directory
from .env import Env, storage_error
from .errors import Damaged, Expired, Fenced, NewerFormat, Owned, Refused, SwarmError, Unconfirmed
from .git import cat_blobs, git
from .objects import blob_id, encode_pack, new_pack
from .spool import Outcome, Spool, encode_outcome
from .state import State
from .store import Append, BlobId, CommitId, Receipt, Request

__all__ = ["FORMAT", "Leader"]

FORMAT = 1
"""Of the ledger, as `swarm.yaml` states it."""

_BATCH = 512
_TENURE_S = 0.005
"""How long a leader goes on for others. Its own caller waits meanwhile, so it is short."""

_GAP_S = 0.002
"""How long it waits for writers that it has just answered to come back with more."""


class Leader:
    """Commits batches; used only while the commit lock is held."""

    def __init__(self, ledger: str, scratch: str, spool: Spool, state: State, env: Env, directory: Directory) -> None:
        self._ledger, self._scratch, self._spool = ledger, scratch, spool
        self._state, self._env, self._directory = state, env, directory
        self._cache = TreeCache()
        self.left_in_order = True
        """False after a failure that may have left a lock or a `.keep`: the next tenure then cleans up."""

    def serve(self, own: str, leftovers: bool, expected: int) -> tuple[Outcome | None, int]:
        """Commit until nothing is queued or the tenure ends.

        (the outcome of the request named `own`, if it was taken; how many the next leader may expect, of this process
        too). `expected` is what the last leader said. With `leftovers`, first finish what one that died had taken.
        """
        env = self._env
        self.left_in_order = True
        until = env.monotonic() + _TENURE_S
        mine: Outcome | None = None
        names = self._spool.leftovers() if leftovers else []
        left = set(names)
        while True:
            batch = self._gather(names, expected)
            if not batch:
                return mine, 0
            env.point("taken")
            for (name, request), outcome in zip(batch, self._commit([r for _, r in batch]), strict=True):
                if name == own:
                    mine = outcome
                self._spool.answer(name, request.id, outcome, leftover=name in left)
            env.point("answered")
            names = []
            expected = len(batch) - 1  # the others; this process is busy leading
            if env.monotonic() > until or (mine is not None and expected < 1):
                return mine, len(batch)

    def _gather(self, names: list[str], expected: int) -> list[tuple[str, Request]]:
        """Take `names` and what is queued; waits for `expected` requests as long as they keep coming."""
        env = self._env
        batch: list[tuple[str, Request]] = []
        patience = env.monotonic() + _GAP_S
        while True:
            # Taken as they come: what is read while others still write theirs, they need not wait for.
            names = [*names, *self._spool.waiting()][: _BATCH - len(batch)]
            came = self._spool.take(names) if names else []
            if came:  # not for what cannot be read and waits on: that would be for ever
                batch += came
                patience = env.monotonic() + _GAP_S
            if len(batch) >= min(expected, _BATCH) or env.monotonic() > patience:
                return batch
            names = []
            env.sleep(0.0005)

    def _commit(self, batch: list[Request]) -> list[Outcome]:
        """Commit `batch`: the outcome of each request, in order. No exception of the disk leaves here."""
        attempts = 0
        try:
            while True:
                try:
                    outcomes = self._try_commit(batch)
                    if outcomes is not None:
                        return outcomes
                except CacheError:
                    attempts += 1
                    if attempts > 2:
                        raise Damaged("the state cache does not hold what git does; run `swarm doctor`.") from None
                    self._rebuild_cache()
                except sqlite3.Error as error:
                    attempts += 1
                    if attempts > 2:
                        raise
                    self._cache.clear()
                    self._state.heal(error)
                except FileNotFoundError:
                    # Where the commit lock was deleted, a second leader may have taken our files for a dead one's.
                    attempts += 1
                    if attempts > 8:
                        raise
                    self._cache.clear()
        except _Moved as moved:
            self._cache.clear()
            self.left_in_order = False
            return [Unconfirmed(request.id, str(moved)) for request in batch]
        except OSError as error:
            failure: SwarmError = storage_error(error, "writing the ledger")
        except sqlite3.Error as error:
            failure = storage_error(OSError(None, str(error)), "writing the state cache")
        except SwarmError as error:
            failure = error
        except BaseException:
            self._cache.clear()
            self.left_in_order = False
            raise
        self._cache.clear()
        self.left_in_order = False
        done = self._done_by_others(batch)
        return [done.get(request.id, failure) for request in batch]

    def _done_by_others(self, batch: list[Request]) -> dict[str, Receipt]:
        """Those of `batch` that are in history: had this process been stopped, its successor has finished them."""
        done = {}
        with contextlib.suppress(OSError, sqlite3.Error, SwarmError), self._state.writing():
            tip = refs.read(self._ledger)
            if tip is not None and tip != self._state.commit():
                self._state.catch_up(tip)
            for request in batch:
                row = self._state.request(request.id)
                if row and row[0]:
                    done[request.id] = receipt_from_history(self._ledger, request, row[0])
        return done

    def _rebuild_cache(self) -> None:
        self._cache.clear()
        with self._state.writing():
            tip = refs.read(self._ledger)
            self._state.forget()
            if tip is not None:
                self._state.catch_up(tip)

    def _try_commit(self, batch: list[Request]) -> list[Outcome] | None:
        """One attempt; None when the branch moved meanwhile and all must be decided anew."""
        state, env = self._state, self._env
        outcomes: dict[str, Outcome] = {}
        moved = False
        try:
            with state.writing():
                cached, format = state.reflects()
                tip = refs.require(self._ledger, cached)
                if tip is not None and tip != cached:
                    state.catch_up(tip)
                    self._cache.clear()
                    format = state.reflects()[1]
                if format > FORMAT:
                    raise NewerFormat("this ledger was written by a newer swarm-ledger; upgrade to write to it.")
                chain, draft = self._build(batch, tip, outcomes)
                if chain.objects:
                    seq = state.next_seq()
                    news = [v for v in draft.written.values() if v]
                    state.put_files(seq, news, [p for p, v in draft.written.items() if v is None])
                    state.put_trees((d, name, raw) for d, (name, raw) in chain.trees.items())
                    state.put_requests(seq, (_row(request, outcomes[request.id]) for request in batch))
                    assert chain.tip is not None  # noqa: S101 - objects were built, so a commit was
                    state.put_commit(chain.tip, chain.head)
                    keep = self._write_pack(chain)
                    try:
                        with self._leases_as_decided(batch, outcomes, chain):
                            moved = self._move(keep, tip)
                    finally:
                        self._let_go(keep)
                    if not moved:
                        raise _Lost
                    chain.settle()
                    env.point("before-state-commit")
        except _Lost:
            self._cache.clear()
            return None
        except (sqlite3.Error, OSError):
            if not moved:
                raise
            # The batch is on the branch and on disk; only the cache could not record it, and it will catch up.
        return [outcomes[request.id] for request in batch]

    def advance(self, step: Callable[[CommitId | None], Joining | CommitId | None]) -> CommitId | None:
        """Move the branch to where `step`, told the tip, says: a commit that descends from it, or a merge.

        None leaves it. Returns the tip after. Raises what `step` raises, Refused, Busy, StorageError.
        """
        try:
            while True:
                self.left_in_order = False
                with contextlib.suppress(_Lost):
                    tip = self._try_advance(step)
                    self.left_in_order = True
                    return tip
        except _Moved as moved:
            raise Unconfirmed("merge", str(moved)) from moved
        except OSError as error:
            raise storage_error(error, "writing the ledger") from error
        except sqlite3.Error as error:
            raise storage_error(OSError(None, str(error)), "writing the state cache") from error
        finally:
            self._cache.clear()

    def _try_advance(self, step: Callable[[CommitId | None], Joining | CommitId | None]) -> CommitId | None:
        state, env = self._state, self._env
        new: CommitId | None = None
        try:
            with state.writing():
                tip = refs.require(self._ledger, state.commit())
                if tip is not None and tip != state.commit():
                    state.catch_up(tip)
                target = step(tip)
                if target is None:
                    return tip
                if isinstance(target, Joining):
                    writes = _needed(target.writes, state)
                    chain = Chain(tip, state, self._cache)
                    aim = chain.join(target._replace(writes=writes))
                    keep = self._write_pack(chain)
                else:
                    aim = target
                    keep = f"{new_pack(self._ledger, env.rng)}.keep"
                    env.disk.create(keep, f"{aim}\n".encode())
                try:
                    state.catch_up(aim)
                    if not self._move(keep, tip):
                        raise _Lost
                    new = aim
                finally:
                    self._let_go(keep)
                env.point("before-state-commit")
        except (sqlite3.Error, OSError):
            if new is None:
                raise
            # It is on the branch and on disk; only the cache could not record it, and it will catch up.
        return new

    def _build(self, batch: list[Request], tip: CommitId | None, outcomes: dict[str, Outcome]) -> tuple[Chain, Draft]:
        state = self._state
        denied = self._denied(batch)
        chain = Chain(tip, state, self._cache)
        draft = Draft(chain.version, chain.newest, chain.text)
        for request in batch:
            if request.id in outcomes:
                continue
            done = state.request(request.id)
            if done and done[0]:
                outcomes[request.id] = receipt_from_history(self._ledger, request, done[0])
                continue
            try:
                if request.id in denied:
                    raise denied[request.id]
                writes, paths = draft.apply(request)
            except SwarmError as refusal:
                outcomes[request.id] = refusal
                continue
            outcomes[request.id] = Receipt(request.id, chain.add(request, writes), paths)
        return chain, draft

    def _denied(self, batch: Sequence[Request]) -> dict[str, SwarmError]:
        """The requests of `batch` that a lease or a token denies, with the refusal."""
        denied: dict[str, SwarmError] = {}
        subject = [request for request in batch if guarded(request)]
        if subject:
            with self._directory.deciding() as table:
                now = self._directory.now()
                for request in subject:
                    try:
                        check_leases(table, request, now)
                    except (Owned, Fenced, Expired) as refusal:
                        denied[request.id] = refusal
        return denied

    @contextlib.contextmanager
    def _leases_as_decided(
        self, batch: Sequence[Request], outcomes: Mapping[str, Outcome], chain: Chain
    ) -> Iterator[None]:
        """Nobody is granted or loses a lease in the block, in which the branch moves.

        Raises _Lost where one that the batch rests on changed since it was decided.
        """
        # Not those that were in history before: their leases may have ended since, and that refuses nothing.
        new = {id for id, one in outcomes.items() if isinstance(one, Receipt) and _is_new(one, chain)}
        landing = [one for one in batch if one.id in new and guarded(one)]
        if not landing:
            yield
            return
        with self._directory.deciding() as table:
            now = self._directory.now()
            try:
                for request in landing:
                    check_leases(table, request, now)
            except (Owned, Fenced, Expired):
                raise _Lost from None
            self._env.point("leases-held")
            yield

    def _write_pack(self, chain: Chain) -> str:
        """Put the batch's objects on disk and into the repository; the path of the `.keep` that guards them."""
        disk, env = self._env.disk, self._env
        pack, index = encode_pack(chain.objects, chain.deltas)
        target = new_pack(self._ledger, env.rng)
        scratch = f"{self._scratch}/{os.path.basename(target)}"
        made: list[str] = []
        try:
            try:
                disk.create(f"{scratch}.pack", pack)
            except FileNotFoundError:
                os.makedirs(self._scratch, exist_ok=True)
                disk.create(f"{scratch}.pack", pack)
            made.append(f"{scratch}.pack")
            disk.create(f"{scratch}.idx", index)
            made.append(f"{scratch}.idx")
            env.point("pack-written")
            disk.create(f"{target}.keep", f"{chain.tip}\n".encode())
            made.append(f"{target}.keep")
            disk.rename(f"{scratch}.pack", f"{target}.pack")
            made[0] = f"{target}.pack"
            disk.rename(f"{scratch}.idx", f"{target}.idx")
            made[1] = f"{target}.idx"
            env.point("pack-renamed")
            disk.sync_directory(os.path.dirname(target))
            env.point("pack-durable")
        except BaseException:
            for path in reversed(made):
                with contextlib.suppress(OSError):
                    disk.unlink(path)
            raise
        return f"{target}.keep"

    def _let_go(self, keep: str) -> None:
        """Remove the `.keep` of a batch that is done with, and first the ref's lock if it is still there."""
        refs.unlock(self._ledger, keep, self._env)
        with contextlib.suppress(OSError):
            self._env.disk.unlink(keep)

    def _move(self, keep: str, tip: CommitId | None) -> bool:
        try:
            return refs.move(self._ledger, keep, tip, self._env)
        except OSError as error:
            if refs.read(self._ledger) == _first_line(keep):
                raise _Moved(
                    f"the write is on the branch, but the disk did not confirm it ({error.strerror}); "
                    "look with `swarm history` before you repeat it."
                ) from error
            raise


class _Lost(Exception):
    """The compare-and-swap lost: another git moved the branch first, or a lease changed hands."""


class _Moved(Exception):
    """The ref moved, but its directory could not be fsynced."""


def _is_new(receipt: Receipt, chain: Chain) -> bool:
    return bytes.fromhex(receipt.commit) in chain.objects


def _needed(writes: Mapping[str, BlobId | bytes | None], state: State) -> dict[str, BlobId | bytes | None]:
    """Those of `writes` that change something. Raises Refused where a path would be a file and a directory."""
    out: dict[str, BlobId | bytes | None] = {}
    for path, new in writes.items():
        if (blob_id(new) if isinstance(new, bytes) else new) == state.version(path):
            continue
        out[path] = new
        parts = path.split("/")
        above = ("/".join(parts[:n]) for n in range(1, len(parts)))
        files = [one for one in above if (writes[one] if one in writes else state.version(one)) is not None]
        if new is not None and (files or state.tree_name(path)):
            raise Refused(
                "foreign",
                f"{(files or [path])[0]} is a file on one side and a directory on the other; "
                "rename one of them with `swarm git`, then sync again.",
            )
    return out


def _first_line(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.readline().rstrip("\n")


def _row(request: Request, outcome: Outcome) -> tuple[str, str | None, str | None]:
    if isinstance(outcome, Receipt):
        return request.id, outcome.commit, None
    return request.id, None, json.dumps(encode_outcome(outcome))


def receipt_from_history(ledger: str, request: Request, commit: CommitId) -> Receipt:
    """The receipt of a request that a leader committed without answering."""
    texts: dict[str, bytes] = {}
    if any(isinstance(op, Append) for op in request.ops):
        raw = git(ledger, "diff-tree", "--root", "-m", "-r", "-z", "--no-commit-id", commit).split(b"\0")
        changed = {
            path.decode(errors="backslashreplace"): meta.split()[3].decode()
            for meta, path in zip(raw[::2], raw[1::2], strict=False)
            if meta.split()[3].strip(b"0") != b""
        }
        texts = dict(zip(changed, cat_blobs(ledger, changed.values()), strict=True))
    paths = []
    for op in request.ops:
        if isinstance(op, Append):
            holding = (path for path, text in texts.items() if path.startswith(op.directory) and op.section in text)
            paths.append(next(holding, op.directory))
        else:
            paths.append(op.path)
    return Receipt(request.id, commit, tuple(paths))
