"""`python -m bench.coherence`: owning and staying in sync, side by side with others, on the screen and as JSON."""

from __future__ import annotations

import sys

from .coherence_pairs import pairs
from .coherence_tokens import tokens
from .row import Row
from .table import main as measure

__all__ = ["main"]

ROWS: dict[str, Row] = {"pairs": pairs, "tokens": tokens}


def main() -> int:
    """Measure; the exit code of `table.main`."""
    return measure("coherence", __doc__, ROWS)


if __name__ == "__main__":
    sys.exit(main())
