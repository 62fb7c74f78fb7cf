"""Whether a request may land, and what it writes: pure, the same for every store.

`Draft` is a store's current state with the writes of the requests decided so far laid over it, so that a batch
is decided request by request and each sees its predecessors.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .coherence import Table, check_fences
from .errors import BadInput, Conflict
from .lines import Line
from .objects import blob_id
from .store import Append, BlobId, Delete, Put, Request, Version

__all__ = ["Draft", "check_leases", "check_path", "check_request", "guarded", "is_inside", "is_log_file", "trailers"]

_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_NOT_A_NAME = frozenset(("", ".", "..", ".git"))
_LOG_FILE = re.compile(r"[0-9]{4}\.md")
_REQUEST_ID = re.compile(r"[0-9a-z]{1,64}")


class Draft:
    """A base state and the writes laid over it."""

    def __init__(
        self,
        version: Callable[[str], BlobId | None],
        newest: Callable[[str], str | None],
        text: Callable[[str, BlobId], bytes],
    ) -> None:
        """The base: the version at a path, the path of a directory's last log file, the text of a version."""
        self._base_version, self._base_newest, self._base_text = version, newest, text
        self.written: dict[str, Version | None] = {}
        """Path → what it will hold; None where it is removed."""
        self._newest: dict[str, str] = {}
        """Directory → its last log file, of the directories that were appended to."""

    def version(self, path: str) -> BlobId | None:
        """The version at `path`, or None where nothing is."""
        if path in self.written:
            new = self.written[path]
            return new.blob if new else None
        return self._base_version(path)

    def apply(self, request: Request) -> tuple[dict[str, Version | None], tuple[str, ...]]:
        """Lay `request` over the draft: (what it writes, a path for each op). Raises Conflict, and changes nothing."""
        undo: list[tuple[str, bool, Version | None]] = []
        newest = dict(self._newest)
        writes: dict[str, Version | None] = {}
        paths = []
        try:
            for op in request.ops:
                path, new = self._apply_op(op)
                undo.append((path, path in self.written, self.written.get(path)))
                self.written[path] = writes[path] = new
                paths.append(path)
        except BaseException:
            for path, there, old in reversed(undo):
                if there:
                    self.written[path] = old
                else:
                    del self.written[path]
            self._newest = newest
            raise
        return writes, tuple(paths)

    def _apply_op(self, op: Put | Delete | Append) -> tuple[str, Version | None]:
        if isinstance(op, Append):
            path, text = self._append(op)
            return path, Version(path, blob_id(text), text)
        current = self.version(op.path)
        if current != op.base:
            raise Conflict(op.path, op.base, current)
        if isinstance(op, Delete):
            return op.path, None
        return op.path, Version(op.path, blob_id(op.text), op.text)

    def _append(self, op: Append) -> tuple[str, bytes]:
        from . import logbook  # who only reads is spared it

        path = self._newest.get(op.directory) or self._base_newest(op.directory)
        version = self.version(path) if path else None
        if path is None or version is None:
            path = self._newest[op.directory] = path or f"{op.directory}0000.md"
            return path, op.header + op.section
        drafted = self.written.get(path)
        text = drafted.text if drafted else self._base_text(path, version)
        full = logbook.count(text) >= logbook.ENTRIES_PER_FILE
        number = int(path.removeprefix(op.directory).removesuffix(".md")) + 1
        if (full or len(text) + len(op.section) > logbook.BYTES_PER_FILE) and number < 10_000:
            path = self._newest[op.directory] = f"{op.directory}{number:04d}.md"
            return path, op.header + op.section
        self._newest[op.directory] = path
        return path, text + op.section


def is_log_file(path: str, directory: str) -> bool:
    """Whether `path` is a file that appends to `directory` (with its slash) go to: NNNN.md."""
    return path.startswith(directory) and _LOG_FILE.fullmatch(path, len(directory)) is not None


def is_inside(path: str) -> bool:
    """Whether `path` can only name a file or directory inside the ledger, on any system."""
    if _CONTROL.search(path) or "\\" in path or len(path.encode(errors="replace")) > 400:
        return False
    return _NOT_A_NAME.isdisjoint(path.lower().split("/"))


def check_path(path: str) -> None:
    """Raise BadInput unless `is_inside(path)`."""
    if not is_inside(path):
        raise BadInput(f"{path[:80]!r} is not a path inside the ledger")


def check_request(request: Request) -> None:
    """Raise BadInput unless `request` can be committed as it is: paths inside, one-line fields, UTF-8 texts."""
    if not request.ops:
        raise BadInput("a request must write something")
    if not _REQUEST_ID.fullmatch(request.id):
        raise BadInput(f"a request's id is 1 to 64 of a-z and 0-9, not {request.id!r}")
    lines = (token.line for token in request.fences)
    for value in (request.agent, request.session, request.subject, *(value for _, value in request.trailers), *lines):
        if not value or _CONTROL.search(value):
            raise BadInput(f"agent, session, subject and trailers are one line without control characters: {value!r}")
    if "<" in request.agent or ">" in request.agent:
        raise BadInput(f"agent name {request.agent!r} may not hold < or >")
    for op in request.ops:
        if isinstance(op, Append) and not op.directory.endswith("/"):
            raise BadInput(f"{op.directory!r} is not a directory inside the ledger: it must end in a slash")
        check_path(op.directory.rstrip("/") if isinstance(op, Append) else op.path)
        texts = (op.text,) if isinstance(op, Put) else (op.header, op.section) if isinstance(op, Append) else ()
        try:
            for text in texts:
                text.decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"{op.entry}: the text is not UTF-8 (byte {error.start})") from None


def guarded(request: Request) -> bool:
    """Whether leases have a say in `request`: it changes what was there, or shows tokens."""
    return bool(request.fences) or bool(_changed(request))


def check_leases(table: Table, request: Request, now: float) -> None:
    """Raise Owned, Fenced or Expired unless the leases in `table` allow `request`."""
    check_fences(table, _changed(request), request.session, request.fences, now)


def _changed(request: Request) -> list[Line]:
    """The documents that `request` changes, as lines; none of what a hand wrote, or of what is new."""
    if request.by_hand:
        return []
    return [Line(op.entry) for op in request.ops if not isinstance(op, Append) and op.base is not None]


def trailers(request: Request) -> list[tuple[str, str]]:
    """The trailers of the commit that `request` becomes."""
    out = [("Agent", request.agent), ("Session", request.session), ("Request", request.id)]
    for op in request.ops:
        out += [("Entry", op.entry), ("Base", "append" if isinstance(op, Append) else op.base or "none")]
    out += [("Fence", f"{token.line} {token}") for token in request.fences]
    return [*out, *request.trailers]
