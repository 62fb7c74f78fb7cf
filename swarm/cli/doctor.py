"""Look for damage to the store, and mend what can be mended. Exit code 1 where something was found."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Protocol, cast

from .call import Call
from .output import say, say_json

EXAMPLE = """
swarm doctor
"""


class _Store(Protocol):
    def doctor(self) -> Sequence[object]: ...


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(call: Call) -> int:
    """Examine."""
    findings = [str(finding) for finding in cast("_Store", call.swarm.store).doctor()]
    if call.json:
        say_json({"ok": not findings, "findings": findings})
    else:
        for finding in findings:
            say(finding)
        if not findings:
            say("nothing is wrong.")
    return 1 if findings else 0
