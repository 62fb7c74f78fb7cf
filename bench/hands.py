"""`python -m bench.hands`: hands and hosts beside agents, and what is lost by it: nothing."""

from __future__ import annotations

import sys

from .converge import converge
from .hands_view import beside, burst, raced, seen
from .row import Row
from .table import main as measure

__all__ = ["main"]

ROWS: dict[str, Row] = {
    "converge": converge,
    "burst": burst,
    "raced": raced,
    "beside": beside,
    "seen": seen,
}


def main() -> int:
    """Measure; the exit code of `table.main`."""
    return measure("hands", __doc__, ROWS)


if __name__ == "__main__":
    sys.exit(main())
