"""Options that several writing verbs have in common."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import quoted

if TYPE_CHECKING:
    from swarm.agent import About

__all__ = ["about", "about_options", "field_options", "force_options", "forced", "parse_fields", "ran", "ran_option"]


def about_options(parser: argparse.ArgumentParser) -> None:
    """What a new entry may say of itself."""
    parser.add_argument(
        "--cite",
        action="append",
        default=[],
        metavar="WHAT",
        help="the evidence: PATH:FIRST-LAST (lines of code in this worktree), an entry's id, or a URL",
    )
    ran_option(parser, "more evidence: what a command printed and its exit status; a file, or - for standard input")
    parser.add_argument("--entity", action="append", default=[], help="what it is about: an id, type:name or a name")
    parser.add_argument("--room", help="a topic to file it under, alone or in a wing: auth, backend/auth")
    parser.add_argument("--tag", action="append", default=[], help="a word to find it by")
    parser.add_argument("--key", metavar="SUBJECT.ATTRIBUTE", help="what it gives the value of")
    parser.add_argument("--valid-from", metavar="TIME", help="since when it is true, where that is not now")
    parser.add_argument("--confidence", type=float, metavar="0..1", help="how sure it is")
    field_options(parser)
    force_options(parser)


def ran_option(parser: argparse.ArgumentParser, help: str) -> None:
    """What commands printed, as whoever ran them has it: nothing is run here."""
    parser.add_argument("--ran", action="append", nargs=3, default=[], metavar=("COMMAND", "EXIT", "FILE"), help=help)


def ran(options: argparse.Namespace) -> list[Mapping[str, object]]:
    """The citations of what they ran. Raises BadInput."""
    import hashlib
    import sys

    if [file for *_, file in options.ran].count("-") + (getattr(options, "body", "") == "-") > 1:
        raise BadInput("standard input can be read once; give the other text or output by a file.")
    out: list[Mapping[str, object]] = []
    for command, status, file in options.ran:
        if not re.fullmatch("-?[0-9]{1,5}", status):
            raise BadInput(f"--ran: {quoted(status)} is no exit status; write --ran COMMAND EXIT FILE.")
        try:
            with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as output:
                digest = hashlib.sha256()
                while part := output.read(1 << 20):
                    digest.update(part)
        except OSError as error:
            raise BadInput(f"--ran: {quoted(file)} can not be read: {error.strerror}.") from None
        out.append({"command": command, "exit": int(status), "sha256": digest.hexdigest()})
    return out


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
        "cite": [*options.cite, *ran(options)],
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
