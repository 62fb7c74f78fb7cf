"""A write that came too late: who was first, all the texts, and the refused one kept in a file."""

from __future__ import annotations

import os

from swarm_ledger.env import Env
from swarm_ledger.errors import Conflict
from swarm_ledger.ids import id_of, new_request
from swarm_ledger.store import Store, Version

__all__ = ["conflict"]


def conflict(store: Store, home: str, env: Env, known: Version, draft: bytes | None) -> Conflict:
    """The conflict of a write based on `known`, with the texts; `draft`, if any, is kept under `<home>/drafts/`."""
    id = id_of(known.path) or known.path
    now = store.read(known.path)
    last = next(iter(store.history(known.path, limit=1)), None)
    who = f" by {last.author}" if last else ""
    if now is None:
        message = f"{id} was retracted{who} since this session read it; nothing was written."
    else:
        message = (
            f"{id} was changed{who} since this session read it (read {known.blob[:12]}, now {now.blob[:12]}); "
            "nothing was written."
        )
    error = Conflict(known.path, known.blob, now.blob if now else None)
    error.base_text = known.text.decode()
    error.theirs = now.text.decode() if now else None
    error.mine = draft.decode() if draft is not None else None
    fits = ""
    if now is not None and draft is not None:
        from swarm_ledger.merge import merge

        merged = merge(known.path, known.text, now.text, draft)
        if merged.text is not None and not merged.lost:
            error.merged = merged.text.decode()
            fits = "Both changes fit together: --json has them as one text. "
    kept = ""
    if draft is not None:
        path = f"{home}/drafts/{id}.{new_request(env.rng)[:8]}.md"
        try:
            os.makedirs(f"{home}/drafts", exist_ok=True)
            env.disk.create(path, draft)
            error.draft, kept = path, f"Your text is kept in {path}. "
        except OSError as reason:
            kept = f"Your text could not be kept ({reason.strerror}). "
    error.args = (f"{message}\n{kept}{fits}`swarm show {id}` shows it as it is now; then write again.",)
    return error
