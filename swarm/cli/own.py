"""Own documents or code paths before long work on them: nobody else's write lands there while the lease is live.

All of the lines or none. Each of your calls renews the lease; when it runs out others may take the line, and until
somebody does it stays yours."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json, short

EXAMPLE = """
swarm own task-261121-7k3q9m2x
swarm own 'path:src/auth/**' path:tests/test_auth.py --ttl 3600 --wait 60
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The lines, for how long."""
    parser.add_argument(
        "line",
        metavar="LINE",
        nargs="+",
        help="a document's id, or path:GLOB from the repository's top: * and ? within a name, ** for any directories; "
        "all else, brackets too, stands for itself",
    )
    parser.add_argument("--ttl", type=float, default=900.0, metavar="S", help="seconds, 1 to 86400 (default: 900)")
    parser.add_argument("--wait", type=float, default=0.0, metavar="S", help="try for so long while others own it")


def run(call: Call) -> int:
    """Own them."""
    options = call.options
    for granted in call.agent.own(*options.line, ttl=options.ttl, wait=options.wait):
        if call.json:
            say_json({"outcome": "GRANT", **granted._asdict()})
            continue
        version = f", version {short(granted.version)}" if granted.version else ""
        say(f"{granted.line} is yours for {options.ttl:.0f} s{version}, token {granted.token}")
        if granted.text is not None:
            say(granted.text.removesuffix("\n"))
    return 0
