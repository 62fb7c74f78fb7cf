"""`python -m bench.writes`: every figure of the write path, side by side in one run, on the screen and as JSON."""

from __future__ import annotations

import sys
from typing import Any

from .latency import latency
from .plaingit import plain_git
from .row import Row
from .safety import safety
from .size import disk, scale, start
from .table import load
from .table import main as measure
from .throughput import slow_disk, throughput

__all__ = ["main"]

ROWS: dict[str, Row] = {
    "throughput": throughput,
    "slow-disk": slow_disk,
    "plain-git": plain_git,
    "latency": latency,
    "safety": safety,
    "disk": disk,
    "scale": scale,
    "start": start,
}


def main() -> int:
    """Measure; the exit code of `table.main`."""
    return measure("writes", __doc__, ROWS, _crash_tests)


def _crash_tests(beside: str) -> list[dict[str, Any]]:
    """What the crash and power-loss tests left beside the report, as figures; they run on their own."""
    out: list[dict[str, Any]] = []
    for name in ("crash", "power"):
        found = load(f"{beside}/{name}.json")
        if not found:
            out.append({"name": f"{name} test", "target": "0 lost", "measured": "not run", "pass": None})
            continue
        keys = ("acknowledged", "lost", "twice", "killed", "prefixes", "next_write_s")
        said = ", ".join(f"{key} {found[key]}" for key in keys if key in found)
        good = not any(found.get(key) for key in ("lost", "twice", "errors", "fsck")) and "lost" in found
        good = good and all(found.get("killed_inside", {"": 1}).values()) and found.get("next_write_s", 0) <= 1
        out.append({"name": f"{name} test", "target": "0 lost", "measured": said, "pass": good})
    return out


if __name__ == "__main__":
    sys.exit(main())
