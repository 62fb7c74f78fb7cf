"""Give back what you own: the lines named, or all."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm release task-261121-7k3q9m2x
swarm release
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument("line", metavar="LINE", nargs="*", help="a document's id or path:GLOB (default: all of yours)")


def run(call: Call) -> int:
    """Release them."""
    done = call.agent.release(*call.options.line)
    for line in done:
        if call.json:
            say_json({"outcome": "RELEASED", "line": line})
        else:
            say(f"{line} is free")
    if not done and not call.json:
        say("you own nothing.")
    return 0
