"""Take a line from whoever owns it, and say why. They are told in the log, and their writes to it are refused."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json, short

EXAMPLE = """
swarm steal 'path:src/auth/**' --why "backend has not answered for two hours"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, why."""
    parser.add_argument("line", metavar="LINE", help="a document's id or path:GLOB")
    parser.add_argument("--why", metavar="TEXT", required=True, help="for whoever owns it now")
    parser.add_argument("--ttl", type=float, default=900.0, metavar="S", help="how long, in seconds (default: 900)")


def run(call: Call) -> int:
    """Take it."""
    options = call.options
    granted = call.agent.steal(options.line, options.why, ttl=options.ttl)
    if call.json:
        say_json({"outcome": "GRANT", **granted._asdict()})
        return 0
    version = f", version {short(granted.version)}" if granted.version else ""
    say(f"{granted.line} is yours for {options.ttl:.0f} s{version}, token {granted.token}")
    if granted.text is not None:
        say(granted.text.removesuffix("\n"))
    return 0
