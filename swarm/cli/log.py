"""Add an entry to your log: what you did, found, or want another agent to know. Never refused, never lost."""

from __future__ import annotations

import argparse

from .call import Call, text_of
from .fields import force_options, forced
from .output import written

EXAMPLE = """
swarm log "the login test fails since the session change" --tag error --to backend
git diff --stat | swarm log -
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The text and what it is about."""
    parser.add_argument("text", metavar="TEXT", nargs="+", help="the text; - reads standard input")
    parser.add_argument("--to", metavar="AGENT", help="whom it is for")
    parser.add_argument("--task", metavar="ID", help="the task that it belongs to")
    parser.add_argument("--tag", action="append", default=[], help="such as error, breakthrough or handoff")
    parser.add_argument("--room", help="a topic to file it under, alone or in a wing: auth, backend/auth")
    parser.add_argument("--entity", action="append", default=[], help="what it mentions: an id, type:name or a name")
    parser.add_argument("--valid-from", metavar="TIME", help="since when it is true, where that is not now")
    parser.add_argument("--ref", help="what it stands for elsewhere")
    force_options(parser)


def run(call: Call) -> int:
    """Log it."""
    options = call.options
    text = " ".join(options.text)
    if text == "-":
        text = text_of(text).removesuffix("\n")
    done = call.agent.log(
        text,
        to=options.to,
        task=options.task,
        tags=options.tag,
        room=options.room,
        entities=options.entity,
        valid_from=options.valid_from,
        ref=options.ref,
        force=forced(options),
    )
    return written(done, "logged", call.json)
