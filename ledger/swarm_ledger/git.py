"""Plain git on the ledger, for what is not hot: catching up after a foreign commit, history, maintenance."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from .errors import Damaged, NotFound

__all__ = ["asks", "cat_blobs", "environment", "git"]


def environment() -> dict[str, str]:
    """The caller's environment without what would make git work on another repository or by other settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def git(ledger: str, *arguments: str, stdin: bytes = b"", nice: int = 0) -> bytes:
    """Standard output of git run on the bare repository `ledger`. Raises Damaged with git's own first line."""
    return _run(ledger, arguments, stdin, nice, (0,))[1]


def asks(ledger: str, *arguments: str) -> bool:
    """What git, run on `ledger`, answers by exit code 0 or 1. Raises Damaged for any other."""
    return _run(ledger, arguments, b"", 0, (0, 1))[0] == 0


def _run(
    ledger: str, arguments: Sequence[str], stdin: bytes, nice: int, expected: tuple[int, ...]
) -> tuple[int, bytes]:
    import subprocess  # takes a while to load, and most commands need no git

    command = ["git", f"--git-dir={ledger}", *arguments]
    if nice:
        command = ["nice", "-n", str(nice), *command]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, env=environment(), check=False)
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    if done.returncode not in expected:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
        raise Damaged(f"git {arguments[0]} failed on {ledger}: {lines[0]}. Run `swarm doctor`.")
    return done.returncode, done.stdout


def cat_blobs(ledger: str, names: Iterable[str]) -> Iterator[bytes]:
    """The content of each object of `names`, in order, through one process. Raises NotFound for one not there."""
    wanted: Sequence[str] = list(names)
    for start in range(0, len(wanted), 2048):  # bounds what is in memory at once
        part = wanted[start : start + 2048]
        out = git(ledger, "cat-file", "--batch", stdin="\n".join([*part, ""]).encode())
        at = 0
        for name in part:
            end = out.index(b"\n", at)
            header = out[at:end].split()
            if len(header) != 3:
                raise NotFound(f"no object {name} in this ledger; if it was there once, run `swarm doctor`.")
            size = int(header[2])
            yield out[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
