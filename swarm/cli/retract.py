"""Take an entry that you have read out of the ledger and say why; history keeps its text."""

from __future__ import annotations

import argparse

from .call import Call, text_of
from .output import written

EXAMPLE = """
swarm retract fact-261121-7k3q9m2x --why "measured on the wrong branch"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and why."""
    parser.add_argument("id", metavar="ID")
    parser.add_argument("--why", required=True, metavar="TEXT", help="those who read it will ask; - reads stdin")
    parser.add_argument("--base", metavar="VERSION", help="the version it is based on (default: the one you read)")


def run(call: Call) -> int:
    """Retract it."""
    options = call.options
    done = call.agent.retract(options.id, text_of(options.why), base=options.base)
    return written(done, "retracted", call.json)
