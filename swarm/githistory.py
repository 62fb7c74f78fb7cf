"""A repository's history as memory: each commit a log entry of its author, the files that it touched its entities.

An entry is valid from when the commit was written, and its `ref` is the commit. A file that was renamed is one entity,
by its newest path, with the older ones as aliases.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from swarm_indexes.filters import Filters
from swarm_ledger.env import storage_error
from swarm_ledger.errors import BadInput, NotFound, Refused
from swarm_ledger.git import environment
from swarm_ledger.ids import AgentName, agent_name, slugify
from swarm_ledger.store import Store

from .exchange import Imported
from .given import Note
from .mentions import mention

if TYPE_CHECKING:
    from .api import Swarm

__all__ = ["Commit", "import_git_history", "log_commits", "read_commits"]

_ALL = 1 << 30
_PART = 200
_FILES = 32
"""Of a commit that touched more, the first are its entities; the text names how many there were."""


class Commit(NamedTuple):
    """One commit. `files` are its paths, `renamed` (old, new) of those that moved."""

    id: str
    author: str
    at: str
    message: str
    files: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]


def read_commits(repository: str, limit: int | None = None) -> list[Commit]:
    """The newest `limit` commits of `repository`'s HEAD without merges, oldest first. Raises BadInput, NotFound."""
    command = ["git", "-C", repository, "-c", "core.quotePath=false", "log", "--no-merges", "--raw", "-M", "-z"]
    command += ["--format=%x01%H%x00%an%x00%aI%x00%B%x00", *([f"--max-count={limit}"] if limit else []), "HEAD", "--"]
    try:
        done = subprocess.run(command, capture_output=True, env=environment(), check=False)
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    except OSError as error:
        raise storage_error(error, f"reading {repository}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git log failed"]
        raise BadInput(f"{repository}: {lines[0][:200]}\nGive the path of a git repository with commits.")
    return list(_parsed(done.stdout.decode(errors="replace")))[::-1]


def import_git_history(swarm: Swarm, repository: str, limit: int | None = None) -> Imported:
    """Log every commit of `repository`; one that is there already is skipped, so an import can be repeated."""
    return log_commits(swarm, read_commits(repository, limit))


def log_commits(swarm: Swarm, commits: Sequence[Commit]) -> Imported:
    """Log `commits`, oldest first; as `import_git_history`."""
    newest: dict[str, str] = {}
    for commit in reversed(commits):
        for old, new in commit.renamed:
            newest.setdefault(old, newest.get(new, new))
    notes: dict[AgentName, list[Note]] = {}
    skipped = 0
    known: dict[AgentName, set[str | None]] = {}
    for commit in commits:
        name = _agent(commit.author)
        if name not in known:
            known[name] = {hit.ref for hit in swarm.index.search("", Filters(kind="log", by=name), k=_ALL)}
        if commit.id in known[name]:
            skipped += 1
        else:
            notes.setdefault(name, []).append(_note(commit, newest))
    refused: list[tuple[str, str]] = []
    _pages(swarm, newest, next(iter(notes), None), refused)
    written = 0
    for name, listed in notes.items():
        agent = swarm.agent(name)
        for note in [*listed] if agent else ():
            if agent and (why := agent.why_not(note, "import")):
                refused.append((str(note.ref), why))
                listed.remove(note)
        for start in range(0, len(listed) if agent else 0, _PART):
            written += len(agent.log_many(listed[start : start + _PART])) if agent else 0
    return Imported(written, skipped, (), tuple(refused))


def _pages(swarm: Swarm, newest: dict[str, str], by: AgentName | None, refused: list[tuple[str, str]]) -> None:
    """A page for each file that had other names, with those."""
    agent = swarm.agent(by) if by else None
    aliases: dict[str, list[str]] = {}
    for old, new in newest.items():
        if old != new:
            aliases.setdefault(new, []).append(old)
    for path, names in aliases.items():
        entity = _entity(path)
        if agent and entity and not _there(agent.store, entity):
            try:
                agent.remember(path, kind="entity", type="file", fields={"aliases": sorted(names)})
            except Refused as error:
                refused.append((entity, str(error)))


def _there(store: Store, entity: str) -> bool:
    from swarm_ledger.ids import path_of

    return store.read(path_of(entity)) is not None


def _note(commit: Commit, newest: dict[str, str]) -> Note:
    listed = [f"{path}" for path in commit.files[:_FILES]]
    more = f"\n… and {len(commit.files) - _FILES} more" if len(commit.files) > _FILES else ""
    files = "\n\n" + "\n".join(listed) + more if listed else ""
    # By their paths, which become the titles of their pages; two of one id are one.
    now = [newest.get(path, path) for path in commit.files[:_FILES]]
    entities = {entity: f"file:{path}" for path in reversed(now) if (entity := _entity(path))}
    text = "".join(char if char in "\t\n" or char.isprintable() else " " for char in commit.message.strip() + files)
    return Note(
        text or commit.id, tags=["commit"], entities=[*entities.values()][::-1], valid_from=commit.at, ref=commit.id
    )


def _entity(path: str) -> str | None:
    """The entity of the file at `path`; None where no id can be made of it."""
    try:
        return mention(f"file:{path}")[0]
    except BadInput:
        return None


def _agent(author: str) -> AgentName:
    try:
        return agent_name(slugify(author)[:63].rstrip("-"))
    except BadInput:
        return agent_name("unknown")


def _parsed(text: str) -> Iterator[Commit]:
    for record in text.split("\x01")[1:]:
        id, author, at, message, *rest = record.split("\0")
        files: list[str] = []
        renamed: list[tuple[str, str]] = []
        parts = iter(part.lstrip("\n") for part in rest)
        for part in parts:
            if not part.startswith(":"):
                continue
            status = part.rsplit(" ", 1)[-1]
            path = next(parts, "")
            if status.startswith(("R", "C")):
                old, path = path, next(parts, "")
                if status.startswith("R"):
                    renamed.append((old, path))
            files.append(path)
        yield Commit(id, author, at.replace("+00:00", "Z"), message, tuple(files), tuple(renamed))
