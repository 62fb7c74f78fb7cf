"""Pack the store tightly: smaller on disk, and history faster. Nothing is lost; needed rarely, if ever."""

from __future__ import annotations

import argparse

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm gc
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """Pack."""
    call.git_store.gc()
    if call.json:
        say_json({"ok": True})
    else:
        say("packed.")
    return 0
