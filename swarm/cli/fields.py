"""Options that several writing verbs have in common."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm_ledger.errors import BadInput

if TYPE_CHECKING:
    from swarm.agent import About

__all__ = ["about", "about_options", "field_options", "force_options", "forced", "parse_fields"]


def about_options(parser: argparse.ArgumentParser) -> None:
    """What a new entry may say of itself."""
    parser.add_argument(
        "--cite",
        action="append",
        default=[],
        metavar="WHAT",
        help="the evidence: PATH:FIRST-LAST (lines of code in this worktree), an entry's id, or a URL",
    )
    parser.add_argument("--entity", action="append", default=[], help="what it is about: an id, type:name or a name")
    parser.add_argument("--room", help="a topic to file it under")
    parser.add_argument("--tag", action="append", default=[], help="a word to find it by")
    parser.add_argument("--key", metavar="SUBJECT.ATTRIBUTE", help="what it gives the value of")
    parser.add_argument("--valid-from", metavar="TIME", help="since when it is true, where that is not now")
    parser.add_argument("--confidence", type=float, metavar="0..1", help="how sure it is")
    field_options(parser)
    force_options(parser)


def force_options(parser: argparse.ArgumentParser) -> None:
    """To write what a gate refuses."""
    parser.add_argument("--force", action="store_true", help="write it although a gate refuses it; needs --why")
    parser.add_argument("--why", metavar="TEXT", help="why, for the record")


def forced(options: argparse.Namespace) -> str | None:
    """Why a gate is wrong, where they said so. Raises BadInput for one option without the other."""
    if options.force != (options.why is not None):
        raise BadInput("--force and --why TEXT go together: what is forced is recorded with its reason.")
    return str(options.why) if options.force else None


def about(options: argparse.Namespace) -> About:
    """What they said."""
    why = forced(options)
    return {
        **({"force": why} if why is not None else {}),
        "cite": options.cite,
        "entities": options.entity,
        "room": options.room,
        "tags": options.tag,
        "key": options.key,
        "valid_from": options.valid_from,
        "confidence": options.confidence,
        "fields": parse_fields(options.set),
    }


def field_options(parser: argparse.ArgumentParser) -> None:
    """Any field by name."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="any other field; the value is YAML"
    )


def parse_fields(given: Sequence[str]) -> dict[str, object]:
    """The fields that `FIELD=VALUE` texts give; an empty value is None, which takes a field out.

    Raises BadInput, also for what is all but the name of a known field: any other name is a field of one's own.
    """
    if not given:
        return {}
    from difflib import get_close_matches

    from swarm_ledger.schema import MODELS
    from swarm_ledger.yaml12 import load

    known = {name for model in MODELS.values() for name in model.model_fields}
    out: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise BadInput(f"{text[:60]!r} is not FIELD=VALUE, such as status=done.")
        near = get_close_matches(name.lower(), known, 1, 0.82) if name not in known else []
        if near:
            raise BadInput(f"{name}: is no field that is known here; did you mean {near[0]}?")
        try:
            out[name] = load(f"{name}: {value}\n")[name]
        except BadInput as error:
            raise BadInput(f"--set {name}: {error}; quote the value as YAML does.") from None
    return out
