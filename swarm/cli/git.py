"""Run plain git on the ledger, a bare repository. All that follows is git's: this verb has no options of its own.
Look as much as you like; what it commits, `swarm check` will name."""

from __future__ import annotations

import argparse
import os
import subprocess

from swarm_ledger.errors import NotFound
from swarm_ledger.place import require_ledger

from .call import Call

EXAMPLE = """
swarm git log --stat -3
swarm git show swarm-ledger:swarm.yaml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """For the help alone."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS")


def run(call: Call) -> int:
    """Run it; git's exit code."""
    ledger = require_ledger(call.cwd, call.home).ledger
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", f"--git-dir={ledger}", *call.options.arguments]
    try:
        code = subprocess.run(command, env=environment, check=False).returncode
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    return code if code >= 0 else 128 - code
