"""What the user sees. Agents' text is data: on a terminal its control characters are shown, not obeyed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from swarm_ledger.errors import SwarmError

if TYPE_CHECKING:
    from swarm.agent import Written
    from swarm_ledger.standing import Standing

__all__ = ["Notice", "counted", "report", "say", "say_json", "short", "stands", "visible", "warn", "written"]

# C0 but tab and newline, DEL, C1, the marks that reorder text, and halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with what a terminal would obey written as an escape."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """Print `text` and a newline; byte for byte where the output is no terminal."""
    _write(sys.stdout, visible(text) if sys.stdout.isatty() else text)


class Notice:
    """How many entries that the caller has read are not as they were; said in each reply."""

    count: Callable[[], int] | None = None
    """Set once the ledger is open."""
    said = False
    """Whether the reply told it already."""


def say_json(data: Mapping[str, object], *, bare: bool = False) -> None:
    """Print one object on one line, with the caller's notice unless it is `bare`: kept, or one of a stream."""
    if Notice.count is not None and not bare:
        data = {**data, "changed": Notice.count()}
        Notice.said = True
    # C1 controls would pass a terminal unescaped, so there everything beyond ASCII is escaped.
    plain = sys.stdout.isatty() or (sys.stdout.encoding or "").lower() != "utf-8"
    sys.stdout.write(json.dumps(data, ensure_ascii=plain) + "\n")


def warn(text: str) -> None:
    """Print what is worth knowing to standard error, beside what was asked for."""
    _write(sys.stderr, visible(f"swarm: {text}"))


def short(name: str) -> str:
    """The first digits of a commit or version, for people; --json has all of them."""
    return name[:12]


def stands(standing: Standing) -> str:
    """What is to be said of how an entry stands, in a few words; "" where nothing speaks against it."""
    evidence = {
        "moved": "evidence unchanged, moved",
        "changed": "EVIDENCE CHANGED on this branch",
        "gone": "EVIDENCE GONE from this branch",
        "uncheckable": "evidence not checkable here",
    }
    parts = [
        evidence.get(standing.evidence, ""),
        f"CONTESTED by {', '.join(standing.rivals)}" if standing.rivals else "",
        f"CONTESTED, another version is in {', '.join(standing.contested)}" if standing.contested else "",
        "no longer valid" if standing.expired else "",
    ]
    return ", ".join(part for part in parts if part)


def counted(number: int, noun: str) -> str:
    """`number` of `noun`: "1 entry", "2 entries"."""
    if number == 1 or noun == "contested":
        return f"{number} {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def written(done: Written, what: str, as_json: bool) -> int:
    """Print the acknowledgement of a write; the exit code."""
    if as_json:
        say_json(done._asdict())
        return 0
    version = f", version {short(done.version)}" if done.version else ""
    say(f"{done.id} {what} in commit {short(done.commit)}{version}" if done.commit else f"{done.id} says that already")
    for id in done.created:
        say(f"{id} created")
    return 0


def report(error: SwarmError, as_json: bool) -> None:
    """Print an error to standard error: its message, or with --json one object with its fields."""
    if as_json:
        fields = {name: value for name, value in vars(error).items() if not name.startswith("_")}
        _write(sys.stderr, json.dumps({"error": type(error).__name__, "message": str(error), **fields}))
    else:
        _write(sys.stderr, visible(f"swarm: {error}"))


def _write(stream: TextIO, text: str) -> None:
    # A locale that cannot say a character gets its escape.
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
