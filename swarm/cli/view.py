"""Show the ledger's files in this worktree, in .swarm/ledger/, for people and tools that read and write files.

on       turn it on here; agents' writes show within milliseconds
off      turn it off here; files that a hand changed are left
status   is it on, and what waits to be taken in (the default)
refresh  bring every file up to date now, deleted ones too; what a hand changed stays
"""

from __future__ import annotations

import argparse
import sys

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm view on
swarm view
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    parser.add_argument("what", nargs="?", default="status", choices=["on", "off", "status", "refresh"])


def run(call: Call) -> int:
    """Do it."""
    from swarm.progress import Progress
    from swarm_ledger import views
    from swarm_ledger.env import storage_error
    from swarm_ledger.errors import BadInput

    swarm, what = call.swarm, call.options.what
    if what == "on":
        view = views.turn_on(swarm.place, swarm.env)
    else:
        found = views.find(swarm.place, swarm.env)
        if found is None:
            if what == "refresh":
                raise BadInput("the view is off in this worktree; `swarm view on` turns it on.")
            say_json({"on": False, "left": []}) if call.json else say(
                "The view is off in this worktree; `swarm view on`."
            )
            return 0
        view = found
    if what == "off":
        left = views.turn_off(view)
        say_json({"on": False, "left": left}) if call.json else say("The view is off.")
        for name in [] if call.json else left:
            say(f"left as it is, with what a hand wrote: {view.root}/{name}")
        return 0
    try:
        number = 0
        if what != "status":
            progress = Progress(sys.stderr if sys.stderr.isatty() else None, "writing files", None)
            try:
                with view.alone():
                    number = view.restore(swarm.store, progress.update)
            finally:
                progress.close()
        with view.alone():
            status = view.status()
    except OSError as error:
        raise storage_error(error, "looking at the view") from None
    if call.json:
        say_json({"on": True, "directory": view.root, **status._asdict()})
        return 0
    if what != "status":
        say(f"{number} files written.")
    say(f"The ledger's files are in {view.root}: {status.files} of them.")
    if not status.files:
        say("They were deleted; the next write brings them back, or `swarm view refresh`.")
    say_waiting(status.edited, status.new, status.missing, status.problems)
    return 0


def say_waiting(edited: int, new: int, missing: int, problems: dict[str, str]) -> None:
    """Print what waits to be taken in."""
    counts = [f"{number} {what}" for number, what in ((edited, "edited"), (new, "new"), (missing, "deleted")) if number]
    if counts:
        say(f"By hand: {', '.join(counts)}; `swarm ingest` takes them in, `swarm watch` does so by itself.")
    for name, why in problems.items():
        say(f"not taken in: {name}: {why}")
