"""The files by which GitHub holds pull requests, and pushes of the ledger, to what the ledger says."""

from __future__ import annotations

import os
from importlib.resources import files

from swarm_ledger.env import Env, storage_error
from swarm_ledger.errors import Refused
from swarm_ledger.ids import new_request
from swarm_ledger.store import Put, Request, Store

from .._version import __version__

__all__ = ["WORKFLOW", "files_for_code", "install"]

WORKFLOW = ".github/workflows/ledger.yml"
"""The path of the workflow, in the repository of the code and in the ledger itself."""

_ACTION = ".github/actions/ledger-check/action.yml"


def files_for_code() -> dict[str, str]:
    """Path in the repository → content, of the action and of the workflow that uses it on pull requests."""
    return {_ACTION: _text("action.yml"), WORKFLOW: _text("code.yml")}


def install(store: Store, worktree: str, env: Env) -> list[str]:
    """Write them into `worktree`, and the workflow of the ledger into the ledger; the paths in the worktree.

    Raises Refused where a file is there already and says something else, or a link leads out of the worktree, before
    anything is written; StorageError.
    """
    wanted = files_for_code()
    root = os.path.realpath(worktree)
    for path, text in wanted.items():
        if os.path.realpath(os.path.join(root, path)) != os.path.join(root, path):
            raise Refused(
                "link", f"{path} is behind a symbolic link, so nothing was written; make it a plain directory."
            )
        if _read(os.path.join(worktree, path)) not in (None, text):
            raise Refused("exists", f"{path} is there already and was left as it is; move it away, then try again.")
    try:
        for path, text in wanted.items():
            whole = os.path.join(worktree, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise storage_error(error, "writing the workflow") from None
    data = _text("ledger.yml").encode()
    now = store.read(WORKFLOW)
    if now is None or now.text != data:
        put = Put(WORKFLOW, WORKFLOW, data, now.blob if now else None)
        store.submit(Request(new_request(env.rng), "swarm", "init", int(env.now()), "Check pushes on GitHub", (put,)))
    return [*wanted]


def _text(name: str) -> str:
    """A template, with this version for what is to be installed."""
    text = (files(__name__) / name).read_text(encoding="utf-8")
    for before in ("default: ", "-- "):
        text = text.replace(f"{before}swarm-ledger\n", f"{before}swarm-ledger=={__version__}\n")
    return text


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(error, "looking at the workflow") from None
