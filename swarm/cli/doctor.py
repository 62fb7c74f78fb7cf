"""Look for damage to the store, and mend what can be mended. Exit code 1 where something is left to do."""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.place import require_ledger
from swarm_ledger.remotes import Remote, find_remote

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm doctor
swarm doctor --look
swarm doctor --remote https://example.org/team/app.git
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to mend, and where lost objects may be had."""
    parser.add_argument("--look", action="store_true", help="change nothing, only say what is wrong")
    parser.add_argument("--remote", metavar="REMOTE", help="where lost objects are fetched from (default: as `sync`)")


def run(call: Call) -> int:
    """Examine, and mend."""
    findings = call.git_store.doctor(fix=not call.options.look, remote=_remote(call))
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


def _remote(call: Call) -> Remote | None:
    """The one that was given; else the one that `sync` would use, if there is one."""
    given = call.options.remote
    try:
        return find_remote(require_ledger(call.cwd, call.home).common_dir, given, call.cwd)
    except (BadInput, NotFound):
        if given is not None:
            raise
        return None
