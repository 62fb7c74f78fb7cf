"""An agent's log of a day: sections that are only ever added, in files of up to 32.

A text may hold anything that a log file holds, headings of sections included: what would read as a heading gets
a backslash more, so every text comes back as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from types import MappingProxyType
from typing import NamedTuple

from .emitter import json_line
from .errors import BadInput
from .ids import AgentName, EntryId, agent_name, log_day, quoted

__all__ = ["BYTES_PER_FILE", "ENTRIES_PER_FILE", "LogEntry", "count", "header", "parse", "section", "split"]

ENTRIES_PER_FILE = 32
BYTES_PER_FILE = 64 * 1024

_META_LIMIT = 16 * 1024
_TEXT_LIMIT = 512 * 1024
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_HEADING = re.compile(rf"\n## ({_TIME}) (log-[0-9]{{6}}-[0-9a-hjkmnp-tv-z]{{8}})\r?(?=\n)".encode())
_TO_ESCAPE = re.compile(rf"^(?=\\*## {_TIME} log-)", re.MULTILINE)
_ESCAPED = re.compile(rf"^\\(?=\\*## {_TIME} log-)", re.MULTILINE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_HEADER = re.compile(rb'---\nkind: log\nby: "([a-z0-9._-]+)"\nday: "([0-9]{4}-[0-9]{2}-[0-9]{2})"\n---\n')


class LogEntry(NamedTuple):
    """One section of a log. `meta` is plain data, as `to task tags room entities valid_from ref`."""

    id: EntryId
    by: AgentName
    at: datetime
    """With a time zone; on the day of `id` in UTC. Kept to the second."""
    text: str
    meta: Mapping[str, object] = MappingProxyType({})


def header(agent: str, day: date) -> bytes:
    """The front matter with which each file of `agent`'s log of `day` begins."""
    return f'---\nkind: log\nby: "{agent_name(agent)}"\nday: "{day.isoformat()}"\n---\n\n'.encode()


def section(entry: LogEntry) -> bytes:
    """`entry` as it is added to a log file.

    Raises BadInput for a text with control characters other than tab, newline and carriage return, for a text of
    over 512 KiB, for metadata that is no plain data, and for an id of another day than `at`.
    """
    if control := _CONTROL.search(entry.text):
        raise BadInput(
            f"the text holds the control character {control[0]!a} at position {control.start()}; take it out"
        )
    if entry.at.tzinfo is None:
        raise BadInput("the time of a log entry needs a time zone")
    at = entry.at.astimezone(UTC)
    if log_day(entry.id) != at.date():
        raise BadInput(f"{entry.id} is not an id of {at.date()}, the day of its entry")
    meta = json_line(entry.meta) + "\n" if entry.meta else ""
    text = _TO_ESCAPE.sub(r"\\", entry.text) if "## " in entry.text else entry.text
    try:
        body = text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"the text is not valid Unicode: half of a surrogate pair at position {error.start}") from None
    if len(meta) > _META_LIMIT or len(body) > _TEXT_LIMIT:
        raise BadInput("a log entry holds at most 512 KiB of text and 16 KiB of metadata; put the rest into a file")
    return f"## {at:%H:%M:%S} {entry.id}\n{meta}\n".encode() + body + b"\n\n"


def count(data: bytes) -> int:
    """How many sections the log file `data` holds."""
    return len(_HEADING.findall(data))


def parse(data: bytes) -> list[LogEntry]:
    """The sections of a log file, in their order. Raises BadInput for a file that is no log."""
    if data.startswith((b"---\r\n", b"\xef\xbb\xbf")):
        # A hand or an editor made it so; the store never does. Texts lose their own CRLF then, as they had to.
        data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    by, day, start = _read_header(data)
    headings = list(_HEADING.finditer(data, start - 1))
    if data[start : headings[0].start() if headings else len(data)].strip():
        raise BadInput(f"line {_line(data, start)}: text before the first section of a log; begin it with a heading")
    ends = [match.start() + 1 for match in headings[1:]]
    return [_read_section(data, match, end, by, day) for match, end in zip(headings, [*ends, len(data)], strict=False)]


def split(data: bytes) -> tuple[bytes, list[tuple[EntryId, bytes]]]:
    """(what stands before the first section, (id, section) in their order): joined, they are the log file again.

    A byte order mark and CRLF are not kept, and a last section that lacks its line ends gets them. Looks at headings
    only, so it takes what `parse` refuses.
    """
    if data.startswith((b"---\r\n", b"\xef\xbb\xbf")):
        data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    headings = list(_HEADING.finditer(data))
    begins = [heading.start() + 1 for heading in headings]
    parts = [data[begin:end] for begin, end in zip(begins, [*begins[1:], len(data)], strict=False)]
    whole = [part if part.endswith(b"\n\n") else part.removesuffix(b"\n") + b"\n\n" for part in parts]
    ids = [EntryId(heading[2].decode()) for heading in headings]
    return data[: begins[0] if begins else len(data)], list(zip(ids, whole, strict=True))


def _read_section(data: bytes, heading: re.Match[bytes], end: int, by: AgentName, day: date) -> LogEntry:
    id = EntryId(heading[2].decode())
    if log_day(id) != day:
        raise BadInput(f"line {_line(data, heading.start() + 1)}: {id} is not an id of {day}, the day of its file")
    head, _, rest = data[heading.end() + 1 : end].partition(b"\n")
    try:
        meta_line, text = head.decode(), rest.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{id}: the text is not UTF-8") from None
    if meta_line.strip():
        blank, _, text = text.partition("\n")
        if blank.strip():
            raise BadInput(f"{id}: an empty line must stand between the metadata and the text")
    if "\0" in text:
        raise BadInput(f"{id}: the text holds a NUL byte; take it out")
    # The store ends each text with two newlines; a hand may have left one, or none at the end of the file.
    text = text[:-2] if text.endswith("\n\n") else text.removesuffix("\n")
    if "## " in text:
        text = _ESCAPED.sub("", text)
    at = datetime.combine(day, time.fromisoformat(heading[1].decode()), UTC)
    return LogEntry(id, by, at, text, _read_meta(meta_line, id) if meta_line.strip() else {})


def _read_meta(line: str, id: str) -> dict[str, object]:
    """The metadata: nearly always the JSON that `section` wrote, else whatever YAML a hand wrote."""
    if line.count("[") + line.count("{") < 20 and "\\ud" not in line.lower():
        try:
            return dict(json.loads(line, object_pairs_hook=_unique, parse_constant=_refuse))
        except ValueError:
            pass
    from .yaml12 import load  # reading what the store wrote needs no YAML library

    try:
        return load(line)
    except BadInput as error:
        raise BadInput(f"{id}: the metadata is broken: {error}") from None


def _read_header(data: bytes) -> tuple[AgentName, date, int]:
    """(agent, day, where the front matter ends)."""
    if match := _HEADER.match(data):
        by, day = match[1].decode(), match[2].decode()
        end = match.end()
    else:
        from .entry import Document

        end = data.find(b"\n---", 4) + 1
        end = data.find(b"\n", end) + 1 or len(data)
        fields = Document.parse(data[:end]).fields
        if fields.get("kind") != "log":
            raise BadInput("not a log file: its front matter says no `kind: log`")
        by, day = str(fields.get("by")), str(fields.get("day"))
    try:
        return agent_name(by), date.fromisoformat(day), end
    except ValueError:
        raise BadInput(f"{quoted(day)} is no day; a log's front matter says one like 2026-11-21") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("duplicate keys")
    return fields


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1
