"""What can go wrong, as a tree. Each message is one or two lines and says what to do next.

SwarmError
├── BadInput         what was asked for is malformed; nothing was written
│   └── NotFound     no entry, file or version of that name
├── TryAgain         nothing is wrong with the request; the world moved or is not ready
│   ├── Conflict     a document changed since it was read (fields: path, base, current)
│   ├── Owned        another session has the lease (fields: line, owner, session, held, left)
│   ├── Fenced       somebody else was granted the line since (fields: line, token, by)
│   ├── Expired      the lease is of before a restart, or before the directory was lost (fields: line, token)
│   ├── Busy         another process holds the ledger and does not go on
│   ├── Unconfirmed  the outcome is not known; the request's id says how to find out
│   ├── StorageError the disk refused (full, read-only, denied, failing); nothing was written
│   └── Unreachable  a remote cannot be reached or took no push; all but syncing works as before
├── Refused          a gate said no (fields: rule)
└── Damaged          the store is not what it should be: `swarm doctor`
    └── NewerFormat  written by a newer swarm-ledger; left alone
"""

from __future__ import annotations

__all__ = [
    "BadInput",
    "Busy",
    "Conflict",
    "Damaged",
    "Expired",
    "Fenced",
    "NewerFormat",
    "NotFound",
    "Owned",
    "Refused",
    "StorageError",
    "SwarmError",
    "TryAgain",
    "Unconfirmed",
    "Unreachable",
]


class SwarmError(Exception):
    """The base of every error that this project raises on purpose."""


class BadInput(SwarmError):
    """What was asked for is malformed. Nothing was written."""


class NotFound(BadInput):
    """No entry, file or version of that name."""


class TryAgain(SwarmError):
    """Nothing is wrong with the request; the world moved or is not ready."""


class Conflict(TryAgain):
    """A document changed since it was read: `base` was read at `path`, `current` is there now.

    `base` is None when the request was to create `path`; `current` is None when it no longer exists.
    """

    base_text: str | None = None
    """The text that was read, where whoever reports the conflict knows the texts."""
    mine: str | None = None
    """The text that was to be written."""
    theirs: str | None = None
    """The text that is there now; None where the document was removed."""
    merged: str | None = None
    """The text of both changes together, where they do not contradict each other."""
    draft: str | None = None
    """The file that keeps `mine`."""

    def __init__(self, path: str, base: str | None, current: str | None, message: str | None = None) -> None:
        self.path, self.base, self.current = path, base, current
        super().__init__(
            message
            or f"{path} changed since it was read (read {_short(base)}, now {_short(current)}); "
            "nothing was written. Read it again, then write."
        )


class Owned(TryAgain):
    """Another session owns the line by a live lease. `held` and `left` are seconds. Nothing was written."""

    draft: str | None = None
    """The file that keeps the text that was to be written, if there was one."""

    def __init__(self, line: str, owner: str, session: str, held: float, left: float) -> None:
        self.line, self.owner, self.session = line, owner, session
        self.held, self.left = round(held, 3), round(left, 3)
        super().__init__(
            f"{line} is owned by {owner}, for {_span(held)} so far and {_span(left)} more; nothing was written.\n"
            f"Wait (`swarm own --wait S`), ask (`swarm log --to {owner} TEXT`), "
            f"or `swarm steal {_word(line)} --why TEXT`."
        )


class Fenced(TryAgain):
    """The fencing token is no longer current: `by` (None: nobody knows who) was granted the line since."""

    draft: str | None = None
    """The file that keeps the text that was to be written, if there was one."""

    def __init__(self, line: str, token: str, by: str | None) -> None:
        self.line, self.token, self.by = line, token, by
        super().__init__(
            f"{line} is no longer yours: {by or 'somebody'} ended your lease (token {token}); nothing was written.\n"
            f"Read it again, then `swarm own {_word(line)}`."
        )


class Expired(TryAgain):
    """The fencing token is of an earlier generation of the directory: from before a restart, or before it was lost."""

    draft: str | None = None
    """The file that keeps the text that was to be written, if there was one."""

    def __init__(self, line: str, token: str) -> None:
        self.line, self.token = line, token
        super().__init__(
            f"your lease of {line} is from before this machine restarted or its leases were lost (token {token}); "
            f"nothing was written.\nRead it again, then `swarm own {_word(line)}`."
        )


class Busy(TryAgain):
    """Another process holds the ledger and does not go on. Nothing of this request was written."""


class Unconfirmed(TryAgain):
    """The outcome is not known: the request was taken by a process that has not answered."""

    def __init__(self, request: str, message: str) -> None:
        self.request = request
        super().__init__(message)


class StorageError(TryAgain):
    """The disk refused: full, read-only, denied or failing. Nothing was written."""


class Unreachable(TryAgain):
    """A remote cannot be reached, or took no push. Nothing is lost, and everything but syncing works as before."""


class Refused(SwarmError):
    """A gate said no; `rule` names it."""

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        super().__init__(message)


class Damaged(SwarmError):
    """The store is not what it should be. `swarm doctor` says what, and mends what can be mended."""


class NewerFormat(Damaged):
    """Written by a newer swarm-ledger. Left alone; upgrade to go on."""


def _short(version: str | None) -> str:
    return version[:12] if version else "absent"


def _word(line: str) -> str:
    """`line` as a shell takes it, in a command to copy."""
    from shlex import quote

    return quote(line)


def _span(seconds: float) -> str:
    """A stretch of time for people."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
