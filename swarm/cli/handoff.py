"""Hand a line that you own over to another agent, who is told so in the log."""

from __future__ import annotations

import argparse

from swarm_ledger.lines import parse_line

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm handoff task-261121-7k3q9m2x --to frontend --note "the API is done, the form is not"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What, to whom."""
    parser.add_argument("line", metavar="LINE", help="a document's id or path:GLOB")
    parser.add_argument("--to", metavar="AGENT", required=True, help="who owns it from here on")
    parser.add_argument("--note", default="", help="what they should know")


def run(call: Call) -> int:
    """Hand it over."""
    options = call.options
    line = parse_line(options.line)
    heir = call.agent.handoff(line, options.to, options.note)
    if call.json:
        say_json({"outcome": "RELEASED", "line": line, "to": heir})
    else:
        say(f"{line} is {heir}'s")
    return 0
