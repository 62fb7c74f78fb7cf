"""A write that was refused because of others: who was first, all the texts, and the refused one kept in a file."""

from __future__ import annotations

import os

from swarm_ledger.env import Env
from swarm_ledger.errors import Conflict, Expired, Fenced, Owned
from swarm_ledger.ids import id_of
from swarm_ledger.objects import blob_id
from swarm_ledger.store import Store, Version

__all__ = ["conflict", "denied"]


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
    error.theirs = now.text.decode(errors="replace") if now else None
    error.mine = draft.decode() if draft is not None else None
    fits = ""
    if now is not None and draft is not None:
        from swarm_ledger.merge import merge

        merged = merge(known.path, known.text, now.text, draft)
        if merged.text is not None and not merged.lost:
            error.merged = merged.text.decode()
            fits = "Both changes fit together: --json has them as one text. "
    error.draft, kept = _keep(home, env, id, draft)
    error.args = (f"{message}\n{kept}{fits}`swarm show {id}` shows it as it is now; then write again.",)
    return error


def denied(error: Owned | Fenced | Expired, home: str, env: Env, known: Version, draft: bytes | None) -> None:
    """Keep the `draft` of a write based on `known` that a lease denied, and have `error` say where."""
    error.draft, kept = _keep(home, env, id_of(known.path) or known.path, draft)
    error.args = (f"{error} {kept}".rstrip(),)


def _keep(home: str, env: Env, id: str, draft: bytes | None) -> tuple[str | None, str]:
    """Where `draft` is kept, and what to say of it. Its name tells its text: who tries again leaves one file."""
    if draft is None:
        return None, ""
    path = f"{home}/drafts/{id}.{blob_id(draft)[:8]}.md"
    try:
        os.makedirs(f"{home}/drafts", exist_ok=True)
        if not os.path.exists(path):
            env.disk.create(path, draft)
    except OSError as reason:
        return None, f"Your text could not be kept ({reason.strerror}). "
    return path, f"Your text is kept in {path}. "
