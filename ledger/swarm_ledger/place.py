"""Where a ledger is: one place for all worktrees of a repository, found from anywhere inside it.

Reads git's own files (a `.git` directory or file, `commondir`), starts no process: every command comes by here.
"""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

from .errors import BadInput, Damaged, NotFound

__all__ = ["Place", "find", "network_filesystem", "of_git_dir", "require_ledger"]

_COMMIT = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "afs",
    "ncp",
    "ceph",
    "lustre",
    "beegfs",
    "glusterfs",
    "sshfs",
    "davfs",
    "webdav",
)


class Place(NamedTuple):
    """`home` holds the ledger and all that is derived from it.

    The other fields are None outside a repository; `worktree` is None in a bare one.
    """

    home: str
    common_dir: str | None = None
    """The git directory that all worktrees share."""
    git_dir: str | None = None
    """This worktree's own git directory."""
    worktree: str | None = None

    @property
    def ledger(self) -> str:
        """The bare repository with the ledger's history."""
        return f"{self.home}/ledger.git"

    def head_commit(self) -> str | None:
        """The commit of this worktree's HEAD, where a file of git's names it; None where git has to be asked."""
        found = _line(f"{self.git_dir}/HEAD")
        if found.startswith("ref:"):
            found = _line(f"{self.common_dir}/{found.removeprefix('ref:').strip()}")
        return found if _COMMIT.fullmatch(found) else None

    def head_mark(self) -> object:
        """Differs from before wherever HEAD of this worktree names another commit now, and seldom elsewhere."""
        packed = (f"{self.common_dir}/packed-refs", *(f"{at}/reftable/tables.list" for at in self[1:3]))
        return self.head_commit() or (_line(f"{self.git_dir}/HEAD"), *map(_stamp, packed))


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read(4096).strip()
    except (OSError, ValueError):
        return ""


def _stamp(path: str) -> tuple[int, ...]:
    """Git never writes these in place: what is new has another inode, or time."""
    try:
        at = os.stat(path)
    except OSError:
        return ()
    return at.st_ino, at.st_mtime_ns, at.st_size


def find(cwd: str, home: str | None = None) -> Place | None:
    """The place that belongs to `cwd`, whether a ledger is there yet or not; `home` overrides where it is kept.

    None outside a repository, unless `home` is given.
    """
    override = os.path.abspath(os.path.join(cwd, home)) if home else None
    directory = os.path.realpath(cwd)
    while True:
        git_dir = _git_dir(directory)
        if git_dir:
            common = _common_dir(git_dir)
            bare = git_dir == directory
            return Place(override or f"{common}/swarm", common, git_dir, None if bare else directory)
        parent = os.path.dirname(directory)
        if parent == directory:
            return Place(override) if override else None
        directory = parent


def of_git_dir(git_dir: str, worktree: str, home: str | None = None) -> Place:
    """The place of the worktree `worktree` whose git directory is known: git names it to the hooks that it runs."""
    common = _common_dir(os.path.realpath(git_dir))
    return Place(home or f"{common}/swarm", common, os.path.realpath(git_dir), worktree)


def require_ledger(cwd: str, home: str | None = None) -> Place:
    """The place of an existing ledger. Raises NotFound with the way out, Damaged where there was one."""
    place = find(cwd, home)
    if place is None:
        raise NotFound("not inside a git repository; go into one, or run `swarm init` to make one here.")
    if not os.path.isdir(place.ledger):
        if os.path.exists(f"{place.home}/state.db"):
            raise Damaged(
                f"{place.ledger} is gone; put it back from a copy, or run `swarm init` to begin a new ledger."
            )
        raise NotFound(f"no ledger in {place.home} yet; run `swarm init`.")
    return place


def _git_dir(directory: str) -> str | None:
    dot_git = f"{directory}/.git"
    if os.path.isdir(dot_git):
        return dot_git if os.path.exists(f"{dot_git}/HEAD") else None
    try:
        with open(dot_git, encoding="utf-8", errors="surrogateescape") as file:
            line = file.readline()
    except (FileNotFoundError, NotADirectoryError):
        is_bare = all(os.path.exists(f"{directory}/{name}") for name in ("HEAD", "objects", "refs"))
        return directory if is_bare else None
    except OSError as error:
        raise BadInput(f"{dot_git} cannot be read: {error.strerror}.") from None
    if not line.startswith("gitdir: "):
        raise BadInput(f"{dot_git} is not a git link; repair the worktree with `git worktree repair`.")
    target = os.path.normpath(os.path.join(directory, line[len("gitdir: ") :].rstrip("\n")))
    if not os.path.isdir(target):
        raise BadInput(f"{dot_git} points to {target}, which is gone; run `git worktree repair`.")
    return target


def _common_dir(git_dir: str) -> str:
    try:
        with open(f"{git_dir}/commondir", encoding="utf-8", errors="surrogateescape") as file:
            return os.path.realpath(os.path.join(git_dir, file.read().rstrip("\n")))
    except FileNotFoundError:
        return os.path.realpath(git_dir)


def network_filesystem(path: str, mounts: str | None = None) -> str | None:
    """The type of the network file system that holds `path`, or None on a local one.

    `mounts` is the text of /proc/self/mountinfo (read from there when None). Where no such file exists, as on
    macOS, every file system counts as local.
    """
    if mounts is None:
        if not sys.platform.startswith("linux"):
            return None
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                mounts = file.read()
        except OSError:
            return None
    path = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:
            continue
        point = fields[4].encode().decode("unicode_escape")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    bare = kind.removeprefix("fuse.")
    return kind if bare.startswith(_NETWORK) else None
