"""Make the ledger of this repository, for all its worktrees. Outside a repository one is made here first."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from .call import Call
from .output import say, say_json

if TYPE_CHECKING:
    from swarm.api import Swarm

EXAMPLE = """
swarm init
swarm init --github
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where, and whether GitHub is to check."""
    parser.add_argument(
        "--github", action="store_true", help="also write workflows that check pull requests and pushes of the ledger"
    )
    parser.add_argument("path", nargs="?", default=".", help="a directory in the repository (default: this one)")


def run(call: Call) -> int:
    """Make it, unless it is there."""
    from swarm.api import Swarm
    from swarm_ledger import views
    from swarm_ledger.errors import SwarmError
    from swarm_ledger.place import find

    path = os.path.normpath(os.path.join(call.cwd, call.options.path))
    before = find(path, call.home) if os.path.isdir(path) else None
    is_new = before is None or not os.path.isdir(before.ledger)
    with Swarm.init(path, call.home, strict=True) as swarm:
        ledger, tip = swarm.place.ledger, swarm.store.tip()
        main = views.main_worktree(swarm.place) if is_new else None
        view, why = None, ""
        if main:
            try:
                view = views.turn_on(main, swarm.env)
                view.show(swarm.store)
            except SwarmError as error:  # the ledger does without
                why = str(error)
        written = _github(swarm) if call.options.github else []
        tip = swarm.store.tip()
    if call.json:
        say_json({"ledger": ledger, "tip": tip, "view": view and view.root, "written": written})
        return 0
    say(f"The ledger is in {ledger}.")
    if view:
        say(f"Its files show in {view.root}.\n`swarm watch` takes in what you edit there; `swarm view off` ends it.")
    elif why:
        say(f"Its files do not show in the worktree: {why}")
    if written:
        say(f"Written: {', '.join(written)}, and a workflow in the ledger; commit them, and `swarm sync` the ledger.")
    say("Next: `swarm join NAME` in each worktree.")
    return 0


def _github(swarm: Swarm) -> list[str]:
    from swarm.github import install
    from swarm_ledger.errors import BadInput

    if swarm.place.worktree is None:
        raise BadInput("--github writes files into a worktree; run it in one.")
    return install(swarm.store, swarm.place.worktree, swarm.env)
