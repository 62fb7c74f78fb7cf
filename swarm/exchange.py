"""Every entry out of a ledger and into another: as JSON lines, or as a copy of the markdown files.

One object an entry: `id`, `path`, `fields`, `body`. Where these would not give the file back byte for byte, `text`
is the whole of it. A log gives one object for each of its entries, or where these would not give its files back, an
object without an id for each file; so do the settings. An import into a new ledger gives the same tree.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import TYPE_CHECKING, Any

from swarm_ledger import logbook
from swarm_ledger.entry import Document
from swarm_ledger.env import storage_error
from swarm_ledger.errors import BadInput
from swarm_ledger.gitstore import SETTINGS as PLAIN
from swarm_ledger.gitstore import STRICT
from swarm_ledger.ids import EntryId, agent_name, id_of, kind_of, log_day, log_directory, path_of, quoted
from swarm_ledger.objects import blob_id
from swarm_ledger.schema import validate
from swarm_ledger.store import Append, Op, Put, Store, Version
from swarm_ledger.times import format_time, parse_time
from swarm_ledger.view import SETTINGS, is_shown

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Imported", "copy_files", "export", "import_entries"]

_AS_MADE = (PLAIN.encode(), STRICT.encode())
_CHUNK = 512
_COMMIT_OPS, _COMMIT_BYTES = 500, 4 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. `differing` are entries that are there already with another text; they were left.

    `refused` are (what, why): what a gate kept out.
    """

    written: int
    skipped: int
    differing: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()


def export(store: Store) -> Iterator[dict[str, object]]:
    """Every entry of `store` in the order of paths, as data for JSON."""
    for directory, versions in groupby(_versions(store), key=lambda version: version.path.rpartition("/")[0] + "/"):
        if directory.startswith("log/"):
            yield from _log(directory, list(versions))
            continue
        for version in versions:
            if id := id_of(version.path):
                yield _document(id, version)
            elif version.path == SETTINGS:
                yield _file(version)


def copy_files(store: Store, directory: str) -> int:
    """Write every file of the ledger under `directory`, which must be new or empty; the number of files.

    Raises BadInput for a directory that holds something, StorageError.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        if os.listdir(directory):
            raise BadInput(f"{directory} is not empty; name a new directory, so that nothing is overwritten.")
        number = 0
        for version in _versions(store):
            target = os.path.join(directory, version.path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "xb") as file:
                file.write(version.text)
            number += 1
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(f"{error.filename} is a file; name a new directory.") from None
    except OSError as error:
        raise storage_error(error, "exporting") from None
    return number


def import_entries(agent: Agent, store: Store, lines: Iterable[bytes]) -> Imported:
    """Write what `export` gave, in commits of `agent`; authors and times of the entries stay as they are.

    What is there already is skipped, or left where it differs, so an import can be repeated. Raises BadInput with
    the line that is no entry, before anything was written.
    """
    known: dict[str, object] = {}
    ops: list[Op] = []
    skipped, differing, refused = 0, [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            op, content = _read(line)
        except BadInput as error:
            raise BadInput(f"line {number}: {error}\nNothing was written.") from None
        there = known.get(op.entry) or _existing(store, op, known)
        if isinstance(op, Put) and op.path == SETTINGS and there != content and there in _AS_MADE:
            op, there = Put(op.entry, op.path, op.text, blob_id(there)), None  # as `swarm init` made them
        if there is None and (why := agent.why_not(op, "import")):
            refused.append((op.entry, why))
        elif there is None:
            known[op.entry] = content
            ops.append(op)
        elif there == content:
            skipped += 1
        else:
            differing.append(op.entry)
    for part in _parts(ops):
        agent.commit(f"import {len(part)} entries", part)
    return Imported(len(ops), skipped, tuple(differing), tuple(refused))


def _versions(store: Store) -> Iterator[Version]:
    paths = [path for path, _ in store.paths()]
    for start in range(0, len(paths), _CHUNK):
        yield from store.read_many(paths[start : start + _CHUNK]).values()


def _log(directory: str, versions: list[Version]) -> Iterator[dict[str, object]]:
    """An agent's day. Where appending its entries anew would lead to other files, the files as they are."""
    entries: list[dict[str, object]] = []
    files: list[bytes] = []
    try:
        for version in versions:
            for entry in logbook.parse(version.text):
                section = logbook.section(entry)
                files = _appended(files, logbook.header(entry.by, log_day(entry.id)), section)
                fields = {"id": entry.id, "kind": "log", "by": entry.by, "at": format_time(entry.at), **entry.meta}
                entries.append({"id": entry.id, "path": version.path, "fields": fields, "body": entry.text})
    except BadInput:
        entries = []
    names = [f"{directory}{number:04d}.md" for number in range(len(files))]
    if [version.path for version in versions] == names and [version.text for version in versions] == files:
        yield from entries
    else:
        yield from map(_file, versions)


def _appended(files: list[bytes], header: bytes, section: bytes) -> list[bytes]:
    """The files of a log after a section was added, as the store adds it."""
    last = files[-1] if files else b""
    full = logbook.count(last) >= logbook.ENTRIES_PER_FILE or len(last) + len(section) > logbook.BYTES_PER_FILE
    return [*files, header + section] if full or not files else [*files[:-1], last + section]


def _file(version: Version) -> dict[str, object]:
    return {"id": None, "path": version.path, "text": version.text.decode(errors="replace")}


def _document(id: EntryId, version: Version) -> dict[str, object]:
    start: dict[str, object] = {"id": id, "path": version.path}
    try:
        parsed = Document.parse(version.text)
        whole = {**start, "fields": dict(parsed.fields), "body": parsed.body}
        json.dumps(whole, allow_nan=False)
        if Document.create(parsed.fields, parsed.body).data == version.text:
            return whole
        return {**whole, "text": version.text.decode()}
    except (BadInput, ValueError):
        return {**start, "text": version.text.decode(errors="replace")}


def _read(line: bytes) -> tuple[Op, object]:
    """The write that the object in `line` becomes, and what it must equal where it is there already."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInput("is not JSON.") from None
    if isinstance(data, dict) and data.get("id") is None and "path" in data:
        return _whole_file(data.get("path"), data.get("text"))
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        raise BadInput("is not an entry of an export: an object with an id.")
    id = EntryId(data["id"])
    fields, body, text = data.get("fields"), data.get("body"), data.get("text")
    if kind_of(id) == "log":
        if not isinstance(fields, dict) or not isinstance(body, str):
            raise BadInput(f"{id} has no fields or no body.")
        return _log_op(id, fields, body)
    if isinstance(text, str):
        document = Document.parse(_encoded(text))
    elif isinstance(fields, dict) and isinstance(body, str):
        document = Document.create(fields, body)
    else:
        raise BadInput(f"{id} has neither fields and body nor a text.")
    validate(document.fields, document.body)
    if document.fields.get("id") != id:
        raise BadInput(f"{id}: its fields say that it is {quoted(str(document.fields.get('id')))}.")
    return Put(id, path_of(id), document.data, None), document.data


def _whole_file(path: object, text: object) -> tuple[Op, object]:
    if not isinstance(path, str) or not isinstance(text, str):
        raise BadInput("has neither an id nor a path and a text.")
    if path != SETTINGS and not (path.startswith("log/") and is_shown(path)):
        raise BadInput(f"{quoted(path)} is no file of a ledger that has no id.")
    data = _encoded(text)
    return Put(path, path, data, None), data


def _log_op(id: EntryId, fields: dict[str, Any], body: str) -> tuple[Op, object]:
    by, at = agent_name(str(fields.get("by"))), parse_time(str(fields.get("at")))
    meta = {name: value for name, value in fields.items() if name not in ("id", "kind", "by", "at")}
    entry = logbook.LogEntry(id, by, at.astimezone(UTC), body, meta)
    day = log_day(id)
    return Append(id, log_directory(by, day), logbook.header(by, day), logbook.section(entry)), entry


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadInput("holds half of a surrogate pair.") from None


def _existing(store: Store, op: Op, known: dict[str, object]) -> object | None:
    """What the ledger holds of the entry that `op` writes; entries of its log are noted in `known` once."""
    if not isinstance(op, Append):
        version = store.read(op.path)
        return version.text if version else None
    if op.directory not in known:
        known[op.directory] = True
        for version in store.read_many([path for path, _ in store.paths(op.directory)]).values():
            known.update({entry.id: entry for entry in logbook.parse(version.text)})
    return known.get(op.entry)


def _parts(ops: list[Op]) -> Iterator[list[Op]]:
    """`ops` in commits of a bearable size."""
    part: list[Op] = []
    size = 0
    for op in ops:
        length = len(op.section) if isinstance(op, Append) else len(op.text) if isinstance(op, Put) else 0
        if part and (len(part) >= _COMMIT_OPS or size + length > _COMMIT_BYTES):
            yield part
            part, size = [], 0
        part.append(op)
        size += length
    if part:
        yield part
