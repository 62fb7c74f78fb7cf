"""Plain data as YAML text that every YAML reader, 1.1 or 1.2, reads back as the same data.

A string stands bare only where no reader takes it for anything else; otherwise it stands in double quotes, with
JSON's escapes. Timestamps in full stand bare: YAML 1.2 reads them as strings. Imports no YAML library: logs are
written on the hot path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

from .errors import BadInput
from .ids import quoted

__all__ = ["MAX_DEPTH", "MAX_YAML_BYTES", "dump", "dump_key", "dump_value", "fits", "json_line"]

MAX_DEPTH = 20
"""How deep collections may nest, the top mapping included."""

MAX_YAML_BYTES = 64 * 1024

_MAX_KEY = 256
_MAX_LINE = 110
_PLAIN = re.compile(
    # The first character must not be an indicator, later ones must not start a comment or a mapping.
    r"""[^\W_](?:[\w !"$%&'()*+\-./;<=>?@\\^`|~]|:(?=[\w/.\-])|(?<! )\#|,(?=[\w ]))*(?<! )"""
)
_PLAIN_IN_FLOW = re.compile(r"""[^\W_](?:[\w !"$%&'()*+\-./;<=>?@\\^`|~]|:(?=[\w/.\-])|(?<! )\#)*(?<! )""")
_NOT_A_STRING = re.compile(
    # What some reader, of YAML 1.1 or 1.2, takes for a null, a boolean, a number or a date.
    r"null|true|false|yes|no|on|off|y|n"
    r"|0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+"
    r"|[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?"
    r"|[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}",
    re.IGNORECASE,
)
_MUST_ESCAPE = re.compile(
    # Beside JSON's own: what YAML readers refuse or take for a line end, and what changes the direction of text.
    "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_UNKNOWN_TYPE = "a field may hold text, numbers, booleans, null, lists and mappings, not {}"
_SURROGATE = re.compile("[\ud800-\udfff]")


def dump(fields: Mapping[str, object]) -> str:
    """`fields` as a block mapping, one field after the other in their order, each line ended by a newline.

    Holds None, bool, int, float, str, and lists and mappings of them. Raises BadInput for anything else, for
    nesting deeper than MAX_DEPTH and for more than MAX_YAML_BYTES.
    """
    text = "".join([f"{dump_key(key)}:{dump_value(value, len(key))}\n" for key, value in fields.items()])
    if not fits(text):
        raise BadInput(f"the front matter would be over {MAX_YAML_BYTES // 1024} KiB; put long text into the body")
    return text


@lru_cache(maxsize=256)
def dump_key(key: object) -> str:
    """A field's name. Raises BadInput for what is no text and for more than 256 characters."""
    if not isinstance(key, str):
        raise BadInput(f"field names are text, not {type(key).__name__}")
    if len(key) > _MAX_KEY:
        raise BadInput(f"field name {quoted(key)} is longer than {_MAX_KEY} characters")
    return _plain_or_quoted(key, _PLAIN_IN_FLOW)


def dump_value(value: object, column: int) -> str:
    """What follows the colon of a field of the top mapping, without the last newline.

    A space and the value where that fits on one line, which holds `column` characters already; else a newline
    and an indented block.
    """
    return _value(value, "  ", column, 1)


def fits(text: str) -> bool:
    """Whether `text` has no more than MAX_YAML_BYTES."""
    if len(text) * 4 <= MAX_YAML_BYTES:
        return True
    return len(text.encode(errors="replace")) <= MAX_YAML_BYTES


def json_line(value: object) -> str:
    """`value` as JSON on one line, which is YAML in flow style too. Raises BadInput for what is no plain data."""
    _check_plain(value, 0)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise BadInput(
            "a field may hold no number that is infinite, no number at all or of over 4,300 digits"
        ) from None
    if text.isascii() and "\x7f" not in text:
        return text
    if _SURROGATE.search(text):
        raise BadInput(f"{quoted(text)} is not valid Unicode: it holds half of a surrogate pair")
    return _MUST_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _value(value: object, indent: str, column: int, depth: int) -> str:
    """What follows a colon inside `depth` collections; a block goes in by `indent`."""
    if isinstance(value, str):
        return " " + _plain_or_quoted(value, _PLAIN)
    if isinstance(value, Mapping) and value:
        _check_depth(depth + 1)
        return f"\n{indent}" + _fields(value, indent, depth + 1)
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(item, Mapping) for item in value)
        if nested or column + len(short := _flow(value, depth)) >= _MAX_LINE:
            _check_depth(depth + 1)
            return "".join([f"\n{indent}- {_item(item, indent + '  ', depth + 1)}" for item in value])
        return " " + short
    return " " + _flow(value, depth)


def _item(item: object, indent: str, depth: int) -> str:
    """What follows the hyphen of a list's item."""
    if isinstance(item, Mapping) and item:
        _check_depth(depth + 1)
        return _fields(item, indent, depth + 1)
    return _flow(item, depth)


def _fields(value: Mapping[str, object], indent: str, depth: int) -> str:
    lines = [
        f"{dump_key(key)}:{_value(item, indent + '  ', len(indent) + len(key), depth)}" for key, item in value.items()
    ]
    return f"\n{indent}".join(lines)


def _flow(value: object, depth: int) -> str:
    """`value` on one line, inside `depth` collections."""
    if isinstance(value, str):
        return _plain_or_quoted(value, _PLAIN_IN_FLOW)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        _check_depth(depth + 1)
        return f"[{', '.join([_flow(item, depth + 1) for item in value])}]"
    if isinstance(value, Mapping):
        _check_depth(depth + 1)
        return "{" + ", ".join([f"{dump_key(key)}: {_flow(item, depth + 1)}" for key, item in value.items()]) + "}"
    raise BadInput(_UNKNOWN_TYPE.format(type(value).__name__))


def _plain_or_quoted(text: str, plain: re.Pattern[str]) -> str:
    return text if plain.fullmatch(text) and not _NOT_A_STRING.fullmatch(text) else json_line(text)


def _integer(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python's own limit on digits
        raise BadInput("a number of over 4,300 digits is too long for a field") from None


def _float(value: float) -> str:
    if value != value:
        return ".nan"
    if value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 takes 1e+16 for a string, and 1.0e+16 for the number.
    return text if "." in text else text.replace("e", ".0e")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadInput(f"fields nest deeper than {MAX_DEPTH} levels")


def _check_plain(value: object, depth: int) -> None:
    """Raise BadInput unless `value`, inside `depth` collections, is made of what JSON has."""
    if value is None or isinstance(value, (str, int, float)):
        return
    _check_depth(depth + 1)
    if isinstance(value, dict):
        for key, item in value.items():
            dump_key(key)
            _check_plain(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_plain(item, depth + 1)
    else:
        raise BadInput(_UNKNOWN_TYPE.format(type(value).__name__))
