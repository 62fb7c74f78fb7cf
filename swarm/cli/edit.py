"""Change an entry that you have read. Where others changed or own it, your text is kept in a file instead."""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput

from .call import Call, text_of
from .fields import field_options, force_options, forced, parse_fields
from .output import written

EXAMPLE = """
swarm edit fact-261121-7k3q9m2x --body "Sessions expire after 30 minutes."
swarm edit task-261121-0c4d8e2h --set status=done --set owner=
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and what of it."""
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--body", metavar="TEXT", help="the new markdown; - reads standard input")
    parser.add_argument("--title", help="the new title")
    field_options(parser)
    force_options(parser)
    parser.add_argument("--base", metavar="VERSION", help="the version it is based on (default: the one you read)")
    parser.add_argument("--release", action="store_true", help="end your lease of it with the edit")


def run(call: Call) -> int:
    """Change it."""
    options = call.options
    fields = parse_fields(options.set)
    if options.title is not None:
        fields["title"] = options.title
    if options.body is None and not fields:
        raise BadInput("nothing to change: give --body, --title or --set FIELD=VALUE.")
    body = None if options.body is None else text_of(options.body)
    why = forced(options)
    done = call.agent.edit(options.id, body, fields, base=options.base, release=options.release, force=why)
    return written(done, "changed", call.json)
