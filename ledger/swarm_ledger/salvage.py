"""After damage to packs: what they held is brought back from a remote, from their sound parts, and from the cache.

Every object is taken for what it is only if its content has its name, so no source needs to be trusted. Nothing is
deleted: a damaged pack is moved aside when all that can be read of it is in a new one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Iterable, Iterator

from . import refs
from .compact import alone
from .env import Env, storage_error
from .errors import Damaged, SwarmError
from .git import asks, environment, git
from .objects import BLOB, COMMIT, TREE, encode_pack, new_pack, object_name
from .remotes import Remote, run

__all__ = ["fsck", "salvage"]

_KINDS = {b"commit": COMMIT, b"tree": TREE, b"blob": BLOB}
_AT_ONCE = 8192

_Objects = dict[bytes, tuple[int, bytes]]


def fsck(ledger: str) -> list[str]:
    """What git finds wrong with the repository, a line each."""
    command = ["git", f"--git-dir={ledger}", "fsck", "--full", "--strict", "--no-dangling", "--no-progress"]
    done = subprocess.run(command, capture_output=True, env=environment(), check=False)
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return [line for line in lines if not line.startswith("notice:")]


def salvage(home: str, remote: Remote | None, env: Env) -> list[str]:
    """Bring back what can be; what was done, a line each. Raises Busy while another process merges packs."""
    with alone(home, env):
        try:
            return _Salvage(home, env).run(remote)
        except OSError as error:
            raise storage_error(error, "salvaging damaged packs") from error


class _Salvage:
    def __init__(self, home: str, env: Env) -> None:
        self._home, self._env = home, env
        self._ledger = f"{home}/ledger.git"
        self._packs = f"{self._ledger}/objects/pack"
        self._scratch = f"{home}/tmp/salvage-{env.rng.getrandbits(64):016x}.git"

    def run(self, remote: Remote | None) -> list[str]:
        """See `salvage`."""
        said = []
        bad = [name for name in self._names() if not self._is_sound(name)]
        indexed = [name for name in bad if self._index(name)]
        said += [f"the index of {name} was made anew from the pack" for name in indexed]
        bad = [name for name in bad if name not in indexed]
        try:
            if remote is not None:
                said.append(self._fetch(remote))
            for name in bad:
                said.append(self._read(name))
                self._put_aside(name)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
        # A tree that is back may name others that are lost.
        known = 0
        while (lost := _missing(self._ledger)) and (found := self._from_cache(lost)):
            self._add(found)
            known += len(found)
        if known:
            said.append(f"{known} objects were in the state cache")
        return said

    def _names(self) -> list[str]:
        return sorted(name[:-5] for name in os.listdir(self._packs) if name.endswith(".pack"))

    def _is_sound(self, name: str) -> bool:
        try:
            git(self._ledger, "verify-pack", f"{self._packs}/{name}.idx")
        except Damaged:
            return False
        return True

    def _index(self, name: str) -> bool:
        """Make the index of a pack anew; False where the pack itself is damaged."""
        scratch = f"{self._home}/tmp/merge-{self._env.rng.getrandbits(64):016x}.idx"
        try:
            git(self._ledger, "index-pack", "-o", scratch, f"{self._packs}/{name}.pack")
        except Damaged:
            return False
        self._env.disk.rename(scratch, f"{self._packs}/{name}.idx")
        self._env.disk.sync_directory(self._packs)
        return True

    def _fetch(self, remote: Remote) -> str:
        """All that the remote has, into a repository of its own: git believes that what is damaged here is here."""
        git(self._ledger, "init", "--bare", "--quiet", self._scratch)
        ref = f"+refs/heads/{refs.BRANCH}:refs/heads/{refs.BRANCH}"
        done = run(
            self._scratch, remote, "-c", "core.fsync=all", "fetch", "--quiet", "--no-tags", "--", remote.url, ref
        )
        if done.code:
            return f"nothing was fetched from {remote.shown}: {done.reason}"
        packs = f"{self._scratch}/objects/pack"
        for name in sorted(os.listdir(packs), reverse=True):  # a pack before its index
            if name.endswith((".pack", ".idx")) and not os.path.exists(f"{self._packs}/{name}"):
                self._env.disk.rename(f"{packs}/{name}", f"{self._packs}/{name}")
        self._env.disk.sync_directory(self._packs)
        shutil.rmtree(self._scratch)
        return f"fetched what {remote.shown} has"

    def _read(self, name: str) -> str:
        """What is sound of a damaged pack, into a new one."""
        git(self._ledger, "init", "--bare", "--quiet", self._scratch)
        try:
            with open(f"{self._packs}/{name}.idx", "rb") as file:
                index = file.read()
            listing = git(self._ledger, "show-index", stdin=index)
        except (SwarmError, OSError):
            shutil.rmtree(self._scratch)
            return f"the index of {name} is damaged too, so nothing of it could be read"
        copy = f"{self._scratch}/objects/pack/{name}"
        os.link(f"{self._packs}/{name}.idx", f"{copy}.idx")
        shutil.copyfile(f"{self._packs}/{name}.pack", f"{copy}.pack")
        with open(f"{copy}.pack", "r+b") as file:  # git opens no pack whose first or last bytes are not the index's
            file.write(b"PACK" + struct.pack(">II", 2, listing.count(b"\n")))
            file.seek(0, os.SEEK_END)
            file.write(index[-40:-20])
        wanted = [line.split()[1].decode() for line in listing.splitlines()]
        number = 0
        for start in range(0, len(wanted), _AT_ONCE):
            found: _Objects = dict(_readable(self._scratch, wanted[start : start + _AT_ONCE]))
            self._add(found)
            number += len(found)
        shutil.rmtree(self._scratch)
        return f"{number} of {len(wanted)} objects of {name} could be read"

    def _put_aside(self, name: str) -> None:
        aside = f"{self._home}/damaged"
        os.makedirs(aside, exist_ok=True)
        for suffix in (".idx", ".pack"):  # the index first: no git then looks for the pack
            if os.path.exists(f"{self._packs}/{name}{suffix}"):
                self._env.disk.rename(f"{self._packs}/{name}{suffix}", f"{aside}/{name}{suffix}")
        self._env.disk.sync_directory(self._packs)

    def _add(self, objects: _Objects) -> None:
        """Put `objects` into the repository, on disk, as one pack."""
        if not objects:
            return
        disk = self._env.disk
        pack, index = encode_pack(objects, {})
        target = new_pack(self._ledger, self._env.rng)
        for suffix, data in ((".pack", pack), (".idx", index)):
            # As merged packs are called: a leader that tidies up after a dead one leaves it to us.
            path = f"{self._home}/tmp/merge-{self._env.rng.getrandbits(64):016x}{suffix}"
            disk.create(path, data)
            disk.rename(path, f"{target}{suffix}")
        disk.sync_directory(self._packs)

    def _from_cache(self, lost: Iterable[bytes]) -> _Objects:
        """Those of `lost` that the state cache holds: texts, directories and the last commit of its branch."""
        path = f"{self._home}/state.db"
        if not os.path.exists(path):
            return {}
        found: _Objects = {}
        db = sqlite3.connect(path)
        try:
            head = db.execute("SELECT value FROM meta WHERE key = 'head'").fetchone()
            for name in lost:
                file = db.execute("SELECT text FROM files WHERE blob = ? LIMIT 1", (name,)).fetchone()
                tree = db.execute("SELECT raw FROM trees WHERE name = ? LIMIT 1", (name,)).fetchone()
                for kind, row in ((BLOB, file), (TREE, tree), (COMMIT, head)):
                    if row and row[0] is not None and object_name(kind, bytes(row[0])) == name:
                        found[name] = (kind, bytes(row[0]))
        except sqlite3.Error:  # damaged too: what is found stands
            pass
        finally:
            db.close()
        return found


def _missing(ledger: str) -> set[bytes]:
    """The objects that are named somewhere and lost."""
    words = [line.split() for line in fsck(ledger)]
    lost = {bytes.fromhex(line[2]) for line in words if len(line) == 3 and line[0] == "missing"}
    tip = None
    with contextlib.suppress(Damaged):  # a torn branch, which is mended by itself
        tip = refs.read(ledger)  # of which git says only that the branch is no good
    if tip is not None and not asks(ledger, "cat-file", "-e", tip):
        lost.add(bytes.fromhex(tip))
    return lost


def _readable(repository: str, names: list[str]) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    """(name, (kind, content)) of those objects that git can read. Where git ends at one, it begins anew after it."""
    command = ["git", f"--git-dir={repository}", "cat-file", "--batch"]
    while names:
        given = "\n".join([*names, ""]).encode()
        out = subprocess.run(command, input=given, capture_output=True, env=environment(), check=False).stdout
        at = done = 0
        while (end := out.find(b"\n", at)) >= 0:
            header = out[at:end].split()
            size = int(header[2]) if len(header) == 3 else -1
            if end + 2 + size > len(out):
                break
            at, done = end + 2 + size, done + 1
            data = out[end + 1 : end + 1 + size]
            name = bytes.fromhex(header[0].decode())
            kind = _KINDS.get(header[1], 0)
            if size >= 0 and kind and object_name(kind, data) == name:
                yield name, (kind, data)
        names = names[done + 1 :]
