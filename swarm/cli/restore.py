"""Bring back an entry that was retracted, or that another git removed: it is there again as it was."""

from __future__ import annotations

import argparse

from .call import Call
from .output import written

EXAMPLE = """
swarm restore fact-261121-7k3q9m2x
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument("id", metavar="ID")


def run(call: Call) -> int:
    """Restore it."""
    return written(call.agent.restore(call.options.id), "restored", call.json)
