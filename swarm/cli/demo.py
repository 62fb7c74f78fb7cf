"""Sixteen processes, each in a worktree of its own, share one ledger on a clone of a real repository; at the end
what was acknowledged is recounted from a fresh clone."""

from __future__ import annotations

import argparse
from importlib import import_module

from .call import Call

EXAMPLE = """
swarm demo
swarm demo --conversation talks.json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """On what."""
    parser.add_argument("repository", nargs="?", metavar="PATH", help="a git repository (default: this one)")
    parser.add_argument("--conversation", metavar="FILE", help="load its conversations and ask its questions instead")


def run(call: Call) -> int:
    """Run it."""
    options = call.options
    code: int = import_module("swarm.demo").run(options.repository, options.conversation, as_json=call.json)
    return code
