"""The versions that an entry had, newest first: when, by whom, and in which commit."""

from __future__ import annotations

import argparse

from swarm_ledger.times import format_time

from .call import Call
from .output import say, say_json, short

EXAMPLE = """
swarm history fact-261121-7k3q9m2x
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument("id", metavar="ID")


def run(call: Call) -> int:
    """Print them."""
    from datetime import UTC, datetime

    for one in call.reader.history(call.options.id):
        at = format_time(datetime.fromtimestamp(one.at, UTC))
        if call.json:
            say_json({"commit": one.commit, "version": one.version, "by": one.by, "at": at, "subject": one.subject})
        else:
            version = short(one.version) if one.version else "removed"
            say(f"{at}  commit {short(one.commit)}  version {version:<12}  {one.by}  {one.subject}")
    return 0
