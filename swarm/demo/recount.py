"""What became of acknowledged writes, told by plain git from a fresh clone of the ledger, by no code of the store."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarm_ledger.errors import Damaged
from swarm_ledger.git import cat_blobs, environment, git
from swarm_ledger.refs import BRANCH

__all__ = ["Ack", "Recount", "fsck", "recount"]

_HEADING = re.compile(rb"^## \d\d:\d\d:\d\d (log-\d{6}-[0-9a-z]{8})\r?$", re.MULTILINE)
_LOG = "--format=%x1e%H%x1f%(trailers:key=Request,valueonly,separator=%x2C)%x1f"


@dataclass(frozen=True, slots=True)
class Ack:
    """A write that was acknowledged. `version` is None for a log entry, `line` the text that an edit added.

    `ledger` names the one that it went to, where there are several.
    """

    id: str
    path: str
    version: str | None
    commit: str
    line: str | None = None
    ledger: str = ""


@dataclass(frozen=True, slots=True)
class Recount:
    """`lost` and `duplicated` say which writes, one line each."""

    acknowledged: int
    commits: int
    lost: tuple[str, ...]
    duplicated: tuple[str, ...]


def recount(ledger: str, clone: str, acks: Iterable[Ack]) -> Recount:
    """Clone `ledger` into `clone`, a new directory, and look for each of `acks` in it.

    A write is there when its commit is on the branch and holds its very text at its path; a log entry, and the line
    that an edit added, when they are in the newest tree. Twice is the same request, text or entry a second time.
    """
    _clone(ledger, clone)
    commits, requests, versions = _commits(clone)
    sections, pages = _texts(clone)
    lost, twice = [], [f"request {request}" for request, count in requests.items() if count > 1]
    seen = Counter((path, version) for (_, path), version in versions.items())
    acknowledged = 0
    for ack in acks:
        acknowledged += 1
        name = f"{ack.id} in {ack.commit[:12]}"
        if ack.version is None:
            there = ack.commit in commits and sections[ack.id] > 0
            again = sections[ack.id] > 1
        else:
            there = versions.get((ack.commit, ack.path)) == ack.version
            again = seen[ack.path, ack.version] > 1
        if ack.line is not None:
            lines = pages.get(ack.path, b"").count(b"\n" + ack.line.encode() + b"\n")
            there, again = there and lines > 0, again or lines > 1
        if not there:
            lost.append(name)
        if again:
            twice.append(name)
    return Recount(acknowledged, len(commits), tuple(lost), tuple(twice))


def fsck(ledger: str) -> str:
    """ "clean", or what `git fsck --full` has to say."""
    done = subprocess.run(
        ["git", f"--git-dir={ledger}", "fsck", "--full", "--no-dangling", "--no-progress"],
        capture_output=True,
        env=environment(),
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    return said or ("clean" if done.returncode == 0 else f"exit {done.returncode}")


def _clone(ledger: str, clone: str) -> None:
    # Not local: a local clone links the packs, a fetch makes git read and check what it copies.
    done = subprocess.run(
        ["git", "clone", "--bare", "--no-local", "--quiet", f"--branch={BRANCH}", "--", ledger, clone],
        capture_output=True,
        env=environment(),
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
        raise Damaged(f"the ledger {ledger} cannot be cloned: {lines[-1]}")


def _commits(clone: str) -> tuple[set[str], Counter[str], dict[tuple[str, str], str]]:
    """(commits, how often each request was committed, (commit, path) → the version that it wrote)."""
    commits: set[str] = set()
    requests: Counter[str] = Counter()
    versions: dict[tuple[str, str], str] = {}
    out = git(clone, "log", _LOG, "--raw", "-r", "--root", "--no-abbrev", "--no-renames", "-z", BRANCH)
    for block in out.decode(errors="backslashreplace").split("\x1e")[1:]:
        commit, named, raw = block.split("\x1f", 2)
        commits.add(commit)
        requests.update(name for name in named.split(",") if name)
        for meta, path in _pairs(raw.strip("\0\n").split("\0")):
            versions[commit, path] = meta.split()[3]
    return commits, requests, versions


def _pairs(fields: Sequence[str]) -> Iterator[tuple[str, str]]:
    start = next((i for i, text in enumerate(fields) if text.lstrip("\n").startswith(":")), len(fields))
    return zip(fields[start::2], fields[start + 1 :: 2], strict=False)


def _texts(clone: str) -> tuple[Counter[str], dict[str, bytes]]:
    """(how often each log entry stands in the newest tree, path → text of the entity pages)."""
    paths: list[tuple[str, str]] = []
    listed = git(clone, "ls-tree", "-r", "-z", BRANCH, "--", "log", "entities").decode(errors="backslashreplace")
    for line in listed.split("\0")[:-1]:
        meta, _, path = line.partition("\t")
        paths.append((path, meta.split()[2]))
    sections: Counter[str] = Counter()
    pages: dict[str, bytes] = {}
    for (path, _), text in zip(paths, cat_blobs(clone, [name for _, name in paths]), strict=True):
        if path.startswith("log/"):
            sections.update(name.decode() for name in _HEADING.findall(text))
        else:
            pages[path] = text
    return sections, pages
