"""YAML 1.2 (core schema) as front matter uses it, read from libyaml's events in one pass.

One mapping of plain data. Refused, with the line named: duplicate keys, anchors and aliases, tags, several
documents, keys that are not text, nesting deeper than 20, more than 64 KiB. With no aliases nothing can grow.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

from .emitter import MAX_DEPTH, MAX_YAML_BYTES, dump, fits
from .errors import BadInput
from .ids import quoted

__all__ = ["Span", "dump", "load", "scan"]

# libyaml is in every wheel of PyYAML; without it the same events come more slowly.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONSTANTS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NOT_FINITE = re.compile(r"([-+]?)(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o([0-7]+)|0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAY_BE_NUMBER = frozenset("0123456789+-.")


class Span:
    """Where a field of the top mapping stands, in characters: its key, and its value from first to last leaf."""

    __slots__ = ("key_end", "key_start", "value_end", "value_start")

    def __init__(self, key_start: int, key_end: int) -> None:
        self.key_start, self.key_end = key_start, key_end
        self.value_start = self.value_end = key_end


def load(text: str, *, first_line: int = 1) -> dict[str, object]:
    """The fields in `text`. Raises BadInput that names the line, counted from `first_line`."""
    return scan(text, first_line=first_line)[0]


def scan(text: str, *, first_line: int = 1) -> tuple[dict[str, object], dict[str, Span]]:
    """The fields in `text`, and where in it each stands."""
    if not fits(text):
        raise BadInput(f"the front matter is over {MAX_YAML_BYTES // 1024} KiB; put long text into the body")
    try:
        loader = _Loader(text)
        try:
            return _Composer(loader, first_line).document()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _fail(error.problem or "not YAML", mark.line + first_line if mark else first_line)
    except yaml.YAMLError as error:
        raise BadInput(f"front matter: {str(error).splitlines()[0]}") from None
    except UnicodeEncodeError:
        raise BadInput("front matter: not valid Unicode (half of a surrogate pair)") from None


class _Composer:
    """Builds the data from events, of which it refuses what front matter may not use."""

    def __init__(self, loader: Any, first_line: int) -> None:
        self._next = loader.get_event
        self._first_line = first_line
        self._end = 0
        """The end of the last leaf seen: a block collection's own end lies behind the comments that follow it."""

    def document(self) -> tuple[dict[str, object], dict[str, Span]]:
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return {}, {}
        if event.explicit or event.version or event.tags:
            self._fail("directives and further `---` lines do not belong into front matter", event)
        event = self._next()
        if not isinstance(event, yaml.MappingStartEvent):
            self._fail("front matter must be lines of `name: value`", event)
        spans: dict[str, Span] = {}
        fields = self._mapping(event, 1, spans)
        event = self._next()
        if event.explicit:
            self._fail("`...` does not belong into front matter", event)
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._fail("further `---` lines do not belong into front matter", event)
        return fields, spans

    def _mapping(self, start: Any, depth: int, spans: dict[str, Span] | None = None) -> dict[str, object]:
        self._check(start, depth)
        fields: dict[str, object] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._value(event, depth) if isinstance(event, yaml.ScalarEvent) else None
            if not isinstance(key, str):
                self._fail("field names must be text; put quotes around it", event)
            if key in fields:
                self._fail(f"{quoted(key)} is there twice; keep one", event)
            value = self._next()
            if spans is not None:
                span = spans[key] = Span(event.start_mark.index, event.end_mark.index)
                span.value_start = value.start_mark.index
                fields[key] = self._value(value, depth)
                span.value_end = self._end
            else:
                fields[key] = self._value(value, depth)
        if start.flow_style:
            self._end = _end(event)
        return fields

    def _value(self, event: Any, depth: int) -> object:
        """What `event` begins, inside `depth` collections."""
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None or event.tag is not None:
                self._check(event, depth)
            self._end = _end(event)
            if not event.implicit[0]:
                return event.value
            return self._plain(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth + 1)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check(event, depth + 1)
            items: list[object] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(item, depth + 1))
            if event.flow_style:
                self._end = _end(item)
            return items
        self._fail("aliases (*) are not allowed in front matter; write the value out, or quote it", event)

    def _plain(self, event: Any) -> object:
        """The value of a bare scalar by the core schema of YAML 1.2."""
        text: str = event.value
        if text[:1] not in _MAY_BE_NUMBER:
            return _CONSTANTS.get(text, text)
        if match := _INTEGER.fullmatch(text):
            try:
                return int(match[1], 8) if match[1] else int(match[2], 16) if match[2] else int(text)
            except ValueError:
                self._fail("a number of over 4,300 digits; put quotes around it", event)
        if _FLOAT.fullmatch(text):
            return float(text)
        if match := _NOT_FINITE.fullmatch(text):
            return float((match[1] or "") + text.lower().lstrip("+-.")[:3])
        return text

    def _check(self, event: Any, depth: int) -> None:
        if event.anchor is not None:
            self._fail("anchors (&) are not allowed in front matter; quote the value if it begins with &", event)
        if event.tag is not None:
            self._fail("tags (!) are not allowed in front matter; quote the value if it begins with !", event)
        if depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", event)

    def _fail(self, problem: str, event: Any) -> NoReturn:
        _fail(problem, event.start_mark.line + self._first_line)


def _end(event: Any) -> int:
    index: int = event.end_mark.index
    return index


def _fail(problem: str, line: int) -> NoReturn:
    raise BadInput(f"front matter, line {line}: {problem}")
