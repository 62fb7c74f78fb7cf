"""`python -m bench.recall --data FILE`: every figure of retrieval, side by side, on the screen and as JSON."""

from __future__ import annotations

import sys

from .conversations import conversations
from .history import history
from .priors import use
from .recall_scale import crowd, large, visible
from .row import Row
from .table import main as measure

__all__ = ["main"]

ROWS: dict[str, Row] = {
    "conversations": conversations,
    "history": history,
    "use": use,
    "large": large,
    "visible": visible,
    "crowd": crowd,
}


def main() -> int:
    """Measure; the exit code of `table.main`."""
    return measure("recall", __doc__, ROWS, data=True)


if __name__ == "__main__":
    sys.exit(main())
