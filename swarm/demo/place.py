"""Where the demonstration takes place: a clone and its worktrees in a temporary directory, and nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.git import environment
from swarm_ledger.place import find

if TYPE_CHECKING:
    from git import Repo

__all__ = ["add_worktree", "clone", "repository_of", "temporary", "text_files"]

_FILES, _BYTES, _LINES = 400, 200_000, 5
"""At most so many files are cited from, each of at most so many bytes and at least so many lines."""


@contextlib.contextmanager
def temporary(keep: bool) -> Iterator[str]:
    """A new directory, removed at the end unless `keep`."""
    directory = os.path.realpath(tempfile.mkdtemp(prefix="swarm-demo-"))
    try:
        yield directory
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def repository_of(path: str | None, cwd: str) -> str:
    """The repository to show it on: that of `path`, else this program's own checkout, else that of `cwd`.

    Raises BadInput where there is none.
    """
    if path is not None:
        place = find(os.path.join(cwd, path)) if os.path.isdir(os.path.join(cwd, path)) else None
        if place is None:
            raise BadInput(f"{path!r} is not inside a git repository; give the path of one.")
        return place.worktree or str(place.common_dir)
    here = os.path.dirname(os.path.abspath(__file__))
    own = find(here)
    if own and own.worktree and _tracked(own.worktree, os.path.relpath(__file__, own.worktree)):
        return own.worktree
    place = find(cwd)
    if place is None:
        raise BadInput("no git repository here; give the path of one: `swarm demo PATH`.")
    return place.worktree or str(place.common_dir)


def clone(source: str, target: str) -> Repo:
    """A clone of `source`, a local path. Raises BadInput with git's reason, or where it has no commit yet."""
    with _plain_environment():
        from git import Git, Repo
        from git.exc import GitCommandError, GitCommandNotFound

        try:
            Git(os.path.dirname(target)).clone("--quiet", "--", source, target)
            repository = Repo(target, expand_vars=False)
        except GitCommandNotFound:
            raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
        except GitCommandError as error:
            raise BadInput(f"{source} cannot be cloned: {_reason(error.stderr)}") from None
        if not repository.head.is_valid():
            raise BadInput(f"{source} has no commit yet; commit something there, or give another path.")
        return repository


def add_worktree(repository: Repo, path: str) -> None:
    """A worktree of `repository` at its HEAD, on no branch. Raises BadInput with git's reason."""
    with _plain_environment():
        from git.exc import GitCommandError

        try:
            repository.git.worktree("add", "--quiet", "--detach", path, "HEAD")
        except GitCommandError as error:
            raise BadInput(f"no worktree could be added: {_reason(error.stderr)}") from None


def text_files(repository: Repo) -> list[str]:
    """Paths of tracked text files that can be cited from; at most 400, spread over the whole of them."""
    root = str(repository.working_tree_dir)
    with _plain_environment():
        listed = repository.git.ls_files("-z").split("\0")
    named = [path for path in listed if path and path.isprintable() and "\ufffd" not in path]
    found = []
    step = max(1, len(named) // (4 * _FILES))
    for path in named[::step]:
        whole = f"{root}/{path}"
        if os.path.islink(whole) or not os.path.isfile(whole) or os.path.getsize(whole) > _BYTES:
            continue
        with open(whole, "rb") as file:
            data = file.read()
        if data.count(b"\n") >= _LINES and b"\0" not in data and _is_text(data):
            found.append(path)
    return found[:: max(1, len(found) // _FILES)][:_FILES]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _tracked(worktree: str, path: str) -> bool:
    with _plain_environment():
        from git import Git

        return bool(Git(worktree).ls_files("--", path))


def _reason(stderr: object) -> str:
    text = str(stderr).partition("stderr: ")[2].strip().strip("'").strip() or str(stderr).strip()
    return text.splitlines()[-1].strip() if text else "git gave no reason."


@contextlib.contextmanager
def _plain_environment() -> Iterator[None]:
    """Nobody's git settings, hooks or GIT_DIR: GitPython passes on the environment as it finds it."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
