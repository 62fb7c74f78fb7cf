"""Put a new fact in the place of one that you have read and that no longer holds; the old one stays, marked. With --by
a fact that is there already takes its place, such as the one that contests it."""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput

from .call import Call, text_of
from .fields import about, about_options
from .output import written

EXAMPLE = """
swarm supersede fact-261121-7k3q9m2x "Sessions expire after 30 minutes" --cite src/auth.py:10-24
swarm supersede fact-261121-7k3q9m2x --by fact-261121-m06jths7
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The old one, and the new one."""
    parser.add_argument("id", metavar="ID", help="the fact or reflection that no longer holds")
    parser.add_argument("title", metavar="TITLE", nargs="?", help="the new one")
    parser.add_argument("--by", metavar="ID", help="the one that stands instead; then nothing new is written")
    parser.add_argument("--body", metavar="TEXT", default="", help="markdown; - reads standard input")
    about_options(parser)
    parser.add_argument("--base", metavar="VERSION", help="the version it is based on (default: the one you read)")


def run(call: Call) -> int:
    """Supersede it."""
    options = call.options
    if (options.title is None) == (options.by is None):
        raise BadInput("say what takes its place: a TITLE, or --by ID of a fact that is there.")
    if options.by is not None:
        done = call.agent.supersede(options.id, by=options.by, base=options.base)
        return written(done, f"superseded by {options.by}", call.json)
    given = about(options)  # before standard input is read for the body
    done = call.agent.supersede(
        options.id,
        options.title,
        text_of(options.body),
        base=options.base,
        **given,
    )
    return written(done, f"supersedes {options.id}", call.json)
