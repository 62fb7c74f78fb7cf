"""The record of use: what was read, written and refused, and why. One line each, beside the ledger, never in it.

It is for learning from later, and what was of use ranks a little higher (`swarm.use`); no more depends on it, so an
operation never fails because it could not be kept.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from swarm_ledger.env import Env

from .session import Session, append_line

__all__ = ["Record"]


class Record:
    """One file a day of JSON lines under `<home>/record/`."""

    def __init__(self, home: str, env: Env) -> None:
        self._directory, self._env = f"{home}/record", env

    def add(
        self,
        verb: str,
        session: Session | None,
        ids: Sequence[str],
        outcome: str,
        reason: str | None = None,
        query: str | None = None,
        cited: Sequence[str] = (),
    ) -> None:
        """Note one use. `outcome` is "done", or the name of the error with its message as `reason`.

        `cited` are ids of entries that a new one rests on.
        """
        at = datetime.fromtimestamp(self._env.now(), UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"at": at, "verb": verb}
        if session:
            line |= {"agent": session.agent, "session": session.id}
        line |= {"ids": list(ids), "outcome": outcome}
        if cited:
            line["cited"] = list(cited)
        if reason is not None:
            line["reason"] = reason
        if query is not None:
            line["query"] = query
        with contextlib.suppress(OSError):
            append_line(f"{self._directory}/{at[:10]}.jsonl", json.dumps(line).encode() + b"\n")
