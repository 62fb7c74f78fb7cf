"""`python -m bench.coherence`: owning and staying in sync, side by side with others, on the screen and as JSON."""

from __future__ import annotations

import sys

from .coherence_pairs import pairs
from .coherence_shown import model, simulate
from .coherence_soak import soak
from .coherence_times import beside_writers, notice
from .coherence_tokens import tokens
from .row import Row
from .table import main as measure

__all__ = ["main"]

ROWS: dict[str, Row] = {
    "model": model,
    "simulator": simulate,
    "pairs": pairs,
    "beside-writers": beside_writers,
    "tokens": tokens,
    "notice": notice,
    "soak": soak,
}


def main() -> int:
    """Measure; the exit code of `table.main`."""
    return measure("coherence", __doc__, ROWS)


if __name__ == "__main__":
    sys.exit(main())
