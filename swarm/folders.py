"""Markdown that was kept elsewhere: a folder of notes, or a project's plans, agents' logs and memory.

Each file (of a memory each section) becomes an entry whose random part follows from where it came from, and which
says so in `source`. So it is found again: an import can be repeated, and brings what is new.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger import logbook
from swarm_ledger.entry import MAX_BYTES, Document
from swarm_ledger.env import storage_error
from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import AgentName, EntryId, agent_name, id_of, new_id, slugify
from swarm_ledger.store import Op, Put, Store
from swarm_ledger.times import parse_time

from .given import Note
from .hand import draft

if TYPE_CHECKING:
    from .agent import Agent
    from .api import Swarm

__all__ = ["Brought", "import_folder", "import_project"]

_MARKDOWN = (".md", ".markdown")
_TEXTS = (*_MARKDOWN, ".txt", ".log")
_PART = 256
_SECTION = re.compile(r"^## +(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})")
_TIME = re.compile(r"\b([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?![0-9])")


class Brought(NamedTuple):
    """What an import did, or with `dry_run` would do. `written` and `differing` are (file, id); those that differ are
    here with another text already, and were left. `problems`: file → why it was not read."""

    written: tuple[tuple[str, str], ...]
    skipped: int
    differing: tuple[tuple[str, str], ...]
    problems: dict[str, str]


class _Piece(NamedTuple):
    """A text that is to become an entry."""

    source: str
    name: str
    text: bytes
    kind: str


class _Found(NamedTuple):
    """What an import has come to so far."""

    written: list[tuple[str, str]]
    skipped: list[str]
    differing: list[tuple[str, str]]
    problems: dict[str, str]

    def result(self) -> Brought:
        return Brought(tuple(self.written), len(self.skipped), tuple(self.differing), self.problems)


def import_folder(swarm: Swarm, agent: Agent, path: str, *, dry_run: bool = False) -> Brought:
    """Write each markdown file under `path` as an entry, a fact unless its front matter says otherwise.

    Hidden files and directories and symbolic links are passed by. Raises NotFound, StorageError.
    """
    out = _Found([], [], [], {})
    _write(swarm, agent, list(_pieces(path, "", out, "fact")), out, dry_run)
    return out.result()


def import_project(swarm: Swarm, agent: Agent, path: str, *, dry_run: bool = False) -> Brought:
    """Write a project's `plan/*.md` as plans, the sections of `overview-memory.md` as facts, and what is in
    `agent-logs/` as log entries of the agents whose names its files and directories have.

    Raises NotFound where it has none of them, StorageError.
    """
    parts = ("plan", "agent-logs", "overview-memory.md")
    if not any(os.path.exists(f"{path}/{part}") for part in parts):
        raise NotFound(
            f"{path} has no plan/, agent-logs/ or overview-memory.md; `swarm import folder` takes any folder."
        )
    out = _Found([], [], [], {})
    pieces = list(_pieces(path, "plan", out, "plan")) if os.path.isdir(f"{path}/plan") else []
    if os.path.isfile(f"{path}/overview-memory.md"):
        for piece in _files(path, ["overview-memory.md"], out, "fact"):
            pieces += _sections(piece)
    _write(swarm, agent, pieces, out, dry_run)
    if os.path.isdir(f"{path}/agent-logs"):
        _logs(swarm, list(_pieces(path, "agent-logs", out, "log")), out, dry_run)
    return out.result()


def _pieces(path: str, below: str, out: _Found, kind: str) -> Iterator[_Piece]:
    """The files under `path`/`below` in order."""
    root = os.path.join(path, below) if below else path
    if not os.path.isdir(root):
        raise NotFound(f"{root} is not a directory.")
    endings = _TEXTS if kind == "log" else _MARKDOWN
    names = []
    for directory, directories, files in os.walk(root):
        directories[:] = sorted(one for one in directories if not one.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(endings) and not name.startswith("."):
                names.append(os.path.relpath(os.path.join(directory, name), path))
    yield from _files(path, names, out, kind)


def _files(path: str, names: list[str], out: _Found, kind: str) -> Iterator[_Piece]:
    base = os.path.basename(os.path.abspath(path))
    for name in names:
        whole = os.path.join(path, name)
        if os.path.islink(whole):
            continue
        if os.path.getsize(whole) > MAX_BYTES:
            out.problems[name] = f"over {MAX_BYTES >> 20} MiB, too long for an entry"
            continue
        try:
            with open(whole, "rb") as file:
                text = file.read()
        except OSError as error:
            out.problems[name] = str(storage_error(error, "reading it"))
            continue
        stem = os.path.splitext(os.path.basename(name))[0]
        yield _Piece(_shown(f"{base}/{name}"), stem, text, kind)


def _sections(piece: _Piece) -> list[_Piece]:
    """A piece for each `##` section, and one for what stands before the first."""
    try:
        text = piece.text.decode()
    except UnicodeDecodeError:
        return [piece]  # which says what is wrong with it
    heads = list(_SECTION.finditer(text))
    if not heads:
        return [piece]
    out = []
    before = text[: heads[0].start()]
    if re.sub(r"^# .*$", "", before, count=1, flags=re.MULTILINE).strip():
        out.append(piece._replace(text=before.encode()))
    seen: dict[str, int] = {}
    for head, end in zip(heads, [*(one.start() for one in heads[1:]), len(text)], strict=True):
        title = head[1]
        seen[title] = seen.get(title, 0) + 1
        again = f" ({seen[title]})" if seen[title] > 1 else ""
        body = text[head.end() : end].strip("\n")
        part = f"# {title}\n\n{body}\n" if body else f"# {title}\n"
        out.append(piece._replace(source=_shown(f"{piece.source}#{title}{again}"), name=title, text=part.encode()))
    return out


def _write(swarm: Swarm, agent: Agent, pieces: list[_Piece], out: _Found, dry_run: bool) -> None:
    store = swarm.store
    known = {path[-11:-3]: path for path, _ in store.paths() if id_of(path) and not path.startswith("tombstones/")}
    buried = {path[-11:-3] for path, _ in store.paths("tombstones/")}
    at = datetime.fromtimestamp(int(swarm.env.now()), UTC)
    ops: list[Op] = []
    new: dict[str, str] = {}
    for piece in pieces:
        seed = sha256(piece.source.encode()).digest()
        try:
            made = draft(
                piece.text,
                piece.name,
                agent.name,
                at,
                random.Random(seed),
                kind=piece.kind,
                extra={"source": piece.source},
            )
            random_part = new_id("fact", at, random.Random(seed))[-8:]
            there = known.get(random_part) or (made.path if store.read(made.path) else None)
            if there:
                same = _same(store, there, piece, seed)
                out.skipped.append(piece.source) if same else out.differing.append((piece.source, str(id_of(there))))
            elif random_part in buried:
                out.skipped.append(piece.source)  # it was retracted here since
            elif made.path in new:
                out.problems[piece.source] = f"becomes {made.id}, as {new[made.path]} does; give it another title"
            else:
                put = Put(made.id, made.path, made.text, None)
                if why := agent.why_not(put, None if dry_run else "import"):
                    raise BadInput(why)
                new[made.path] = piece.source
                out.written.append((piece.source, made.id))
                ops.append(put)
        except BadInput as error:
            out.problems[piece.source] = str(error)
    for start in range(0, 0 if dry_run else len(ops), _PART):
        part = ops[start : start + _PART]
        agent.commit(f"import {len(part)} files", part)


def _same(store: Store, path: str, piece: _Piece, seed: bytes) -> bool:
    """Whether the entry at `path` is what this piece became."""
    version = store.read(path)
    if version is None:
        return False
    fields = Document.parse(version.text).fields
    with contextlib.suppress(BadInput):
        made = draft(
            piece.text,
            piece.name,
            str(fields.get("by")),
            parse_time(str(fields.get("at"))),
            random.Random(seed),
            kind=str(fields.get("kind")),
            id=EntryId(str(fields.get("id"))),
            extra={"source": piece.source},
        )
        return made.text == version.text
    return False


def _logs(swarm: Swarm, pieces: list[_Piece], out: _Found, dry_run: bool) -> None:
    """Log entries of whoever the files are of, a section each."""
    for name, notes in _by_agent(pieces, out).items():
        known = _known(swarm.store, name)
        agent = swarm.agent(name)
        new = []
        for note in notes:
            ref = str(note.ref)
            if ref not in known and agent and (why := agent.why_not(note, None if dry_run else "import")):
                out.problems[ref] = why
            elif ref not in known:
                new.append(note)
                out.written.append((ref, f"log of {name}"))
            elif known[ref] == note.text:
                out.skipped.append(ref)
            else:
                out.differing.append((ref, f"log of {name}"))
        for start in range(0, 0 if dry_run or agent is None else len(new), _PART):
            if agent:
                agent.log_many(new[start : start + _PART])


def _by_agent(pieces: list[_Piece], out: _Found) -> dict[AgentName, list[Note]]:
    notes: dict[AgentName, list[Note]] = {}
    for piece in pieces:
        try:
            inside = piece.source.split("/agent-logs/", 1)[1]
            first = inside.partition("/")[0] if "/" in inside else _DATE.sub("", piece.name)
            name = agent_name(slugify(first)[:63].rstrip("-"))
            text = piece.text.decode()
        except (BadInput, UnicodeDecodeError) as error:
            out.problems[piece.source] = str(error)
            continue
        day = _DATE.search(inside)
        for number, part in enumerate(_log_parts(text), 1):
            ref = piece.source if len(piece.source) < 150 else sha256(piece.source.encode()).hexdigest()
            notes.setdefault(name, []).append(
                Note(part, valid_from=_moment(part.partition("\n")[0], day[1] if day else None), ref=f"{ref}#{number}")
            )
    return notes


def _log_parts(text: str) -> list[str]:
    """The sections of a log, each with its heading; what stands before the first is one if it says something."""
    starts = [head.start() for head in _SECTION.finditer(text)]
    bounds = [0, *starts, len(text)] if not starts or starts[0] else [*starts, len(text)]
    parts = [text[a:b].strip() for a, b in pairwise(bounds)]
    return [part for part in parts if re.sub(r"^# .*$", "", part, count=1, flags=re.MULTILINE).strip()]


def _moment(heading: str, day: str | None) -> str | None:
    """When something was logged, as its heading and the name of its file tell."""
    date, time = _DATE.search(heading), _TIME.search(heading)
    known = date[1] if date else day
    if known is None:
        return None
    text = f"{known}T{time[1]}{time[2] or ':00'}Z" if time else f"{known}T00:00:00Z"
    try:
        parse_time(text)
    except BadInput:
        return None
    return text


def _known(store: Store, name: AgentName) -> dict[str, str]:
    """`ref` → text of what is in an agent's log already."""
    paths = [path for path, _ in store.paths("log/") if path.split("/")[4:5] == [name]]
    known = {}
    for version in store.read_many(paths).values():
        for entry in logbook.parse(version.text):
            if isinstance(entry.meta.get("ref"), str):
                known[str(entry.meta["ref"])] = entry.text
    return known


def _shown(source: str) -> str:
    """Where a piece came from, as one line of a field."""
    source = source.encode(errors="backslashreplace").decode().replace(os.sep, "/")
    return "".join(char if char.isprintable() else " " for char in source)
