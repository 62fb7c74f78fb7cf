"""Making a ledger where there was none."""

from __future__ import annotations

import os
import subprocess

from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput, NotFound, StorageError
from swarm_ledger.git import environment
from swarm_ledger.gitstore import SETTINGS, STRICT, GitStore, create_repository
from swarm_ledger.ids import new_request
from swarm_ledger.place import Place, find, network_filesystem

__all__ = ["begin"]


def begin(path: str, home: str | None, env: Env, strict: bool = False) -> Place:
    """Make an empty ledger for the repository of `path` unless there is one; safe when many do it at once.

    `strict` has its facts say what they rest on.
    """
    cwd = os.path.abspath(path)
    if not os.path.isdir(cwd):
        raise BadInput(f"{path!r} is not a directory.")
    place = find(cwd, home)
    if place is None:
        _git_init(cwd)
        place = find(cwd, home)
        if place is None:
            raise BadInput(f"{cwd} is not a git repository after `git init`; make one by hand, then try again.")
    existing = place.home
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    network = network_filesystem(existing)
    if network:
        raise BadInput(
            f"{place.home} is on a network file system ({network}), where locks cannot be relied on.\n"
            "Set SWARM_HOME to a directory on a local disk."
        )
    create_repository(place.home, env)
    store = GitStore(place.home, env)
    try:
        store.initialise("swarm", new_request(env.rng), STRICT if strict else SETTINGS)
    finally:
        store.close()
    return place


def _git_init(directory: str) -> None:
    try:
        done = subprocess.run(
            ["git", "init", "--quiet", "--", directory], capture_output=True, env=environment(), check=False
        )
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git init failed"]
        raise StorageError(f"no repository could be made in {directory}: {lines[0]}")
