"""Options that several writing verbs have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from swarm_ledger.errors import BadInput

__all__ = ["add_fact_options", "field_options", "parse_fields"]


def add_fact_options(parser: argparse.ArgumentParser) -> None:
    """What a fact may say of itself."""
    parser.add_argument(
        "--cite",
        action="append",
        default=[],
        metavar="WHAT",
        help="the evidence: PATH:FIRST-LAST (lines of code in this worktree), an entry's id, or a URL",
    )
    parser.add_argument("--entity", action="append", default=[], help="what it is about: an id, type:name or a name")
    parser.add_argument("--room", help="a topic to file it under")
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("--key", metavar="SUBJECT.ATTRIBUTE", help="what it gives the value of")
    parser.add_argument("--valid-from", metavar="TIME", help="since when it is true, where that is not now")
    parser.add_argument("--confidence", type=float, metavar="0..1")


def field_options(parser: argparse.ArgumentParser) -> None:
    """Any field by name."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="any other field; the value is YAML"
    )


def parse_fields(given: Sequence[str]) -> dict[str, object]:
    """The fields that `FIELD=VALUE` texts give; an empty value is None, which takes a field out."""
    from swarm_ledger.yaml12 import load

    out: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise BadInput(f"{text[:60]!r} is not FIELD=VALUE, such as status=done.")
        try:
            out[name] = load(f"{name}: {value}\n")[name]
        except BadInput as error:
            raise BadInput(f"--set {name}: {error}; quote the value as YAML does.") from None
    return out
