"""Make the ledger of this repository, for all its worktrees. Outside a repository one is made here first."""

from __future__ import annotations

import argparse
import os

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm init
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """One option: where."""
    parser.add_argument("path", nargs="?", default=".", help="a directory in the repository (default: this one)")


def run(call: Call) -> int:
    """Make it, unless it is there."""
    from swarm.api import Swarm

    with Swarm.init(os.path.abspath(call.options.path), call.home) as swarm:
        ledger, tip = swarm.place.ledger, swarm.store.tip()
    if call.json:
        say_json({"ledger": ledger, "tip": tip})
    else:
        say(f"The ledger is in {ledger}.\nNext: `swarm join NAME` in each worktree.")
    return 0
