"""Look for damage to the store, and mend what can be mended. Exit code 1 where something is left to do."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm doctor
swarm doctor --look
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to mend."""
    parser.add_argument("--look", action="store_true", help="change nothing, only say what is wrong")


def run(call: Call) -> int:
    """Examine, and mend."""
    findings = call.git_store.doctor(fix=not call.options.look)
    left = [finding for finding in findings if not finding.mended]
    if call.json:
        say_json(
            {
                "ok": not left,
                "findings": [{"what": one.what, "advice": one.advice, "mended": one.mended} for one in findings],
            }
        )
    else:
        for one in findings:
            say(f"{one.what}: {'mended' if one.mended else one.advice}.")
        if not findings:
            say("nothing is wrong.")
    return 1 if left else 0
