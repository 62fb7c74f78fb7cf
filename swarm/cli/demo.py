"""Sixteen processes, each in a worktree of its own, share one ledger on a clone of a real repository; at the end
what was acknowledged is recounted from a fresh clone. Everything happens in a temporary directory.
"""

from __future__ import annotations

import argparse
import signal
import sys

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm demo
swarm demo ~/src/project --seconds 30
swarm demo --conversation talks.json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """On what, how many, how long."""
    parser.add_argument(
        "repository", nargs="?", metavar="PATH", help="a git repository (default: swarm's own checkout)"
    )
    parser.add_argument("--processes", type=int, default=16, metavar="N", help="how many (default: 16)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long they work (default: 10)")
    parser.add_argument("--writes", type=int, metavar="N", help="or how many writes each of them does")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory, and say where it is")
    parser.add_argument("--conversation", metavar="FILE", help="load its conversations and ask its questions instead")


def run(call: Call) -> int:
    """Run it."""
    from swarm import demo
    from swarm_ledger.errors import BadInput

    options = call.options
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended like that, it cleans up too
    if options.conversation:
        if options.repository or options.seconds or options.writes:
            raise BadInput("--conversation takes neither PATH nor --seconds nor --writes.")
        done = demo.run_conversations(
            options.conversation, processes=options.processes, keep=options.keep, progress=sys.stderr
        )
    else:
        done = demo.run(
            options.repository,
            cwd=call.cwd,
            processes=options.processes,
            seconds=options.seconds,
            writes=options.writes,
            keep=options.keep,
            progress=sys.stderr,
        )
    if call.json:
        say_json(done.data)
    else:
        say(done.text)
    return 0 if done.good else 1
