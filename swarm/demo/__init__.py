"""What `swarm demo` shows: sixteen real processes share one ledger, and everything acknowledged is there afterwards.

`run` does it on a clone of a repository, `run_conversations` with the conversations of a file. Each takes place in a
temporary directory and writes nowhere else.
"""

from .agents import run
from .report import Shown
from .talks import run_conversations

__all__ = ["Shown", "run", "run_conversations"]
