"""Exchange the ledger with other clones: what they wrote comes here and is merged, what was written here goes there.

Nothing is ever overwritten. What cannot be merged is kept in contested entries, which are listed.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import cast

from swarm_ledger.contested import AUTHOR
from swarm_ledger.gitstore import GitStore
from swarm_ledger.remotes import find_remote
from swarm_ledger.sync import sync

from .call import Call
from .output import counted, say, say_json, short

EXAMPLE = """
swarm sync
swarm sync upstream
swarm sync git@example.org:team/project.git
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """With whom."""
    parser.add_argument(
        "remote", nargs="?", metavar="REMOTE", help="a remote of this repository, a URL or a path (default: origin)"
    )


def run(call: Call) -> int:
    """Sync."""
    swarm = call.swarm
    remote = find_remote(swarm.place.common_dir, call.options.remote, swarm.cwd)
    session = call.reader.session
    agent = session.agent if session else AUTHOR
    done = sync(cast("GitStore", swarm.store), remote, agent, session.id if session else "sync", swarm.env)
    if call.json:
        say_json({"ok": True, **asdict(done)})
        return 0
    merged = f", merged in {short(done.merge)}" if done.merge else ""
    received = counted(done.received, "commit")
    say(f"{done.remote}: {received} received, {done.sent} sent{merged}; both are at {short(done.tip)}")
    for id in done.contested:
        say(f"{id} holds a version that could not be merged: `swarm show {id}`")
    return 0
