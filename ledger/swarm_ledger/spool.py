"""How a request reaches the leader, and how the answer comes back.

A request is one file, renamed into `new/` when whole; the leader renames it into `taken/` before it reads it, so
exactly one of leader and writer decides whether it can still be withdrawn. What is in `taken/` without a living
leader is taken up by the next. An answer is one line in the writer's FIFO, a wake-up that may get lost: the
truth about a request is in the state cache and in history.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
from itertools import groupby
from typing import Any

from . import errors
from .coherence import Token
from .decide import check_request
from .env import Env, read_file
from .store import Append, CommitId, Delete, Op, Put, Receipt, Request

__all__ = ["Mailbox", "Outcome", "Spool", "decode_outcome", "encode_outcome"]

_MESSAGE_BYTES = 16_384
"""What surely fits a FIFO in one piece; for a longer answer the writer looks the outcome up."""

FORMAT = "2"
"""Of requests. A leader leaves requests of another format alone."""

Outcome = Receipt | errors.SwarmError
_encode = json.JSONEncoder(ensure_ascii=False).encode
_OPS: dict[str, type[Put] | type[Delete] | type[Append]] = {"put": Put, "delete": Delete, "append": Append}


def encode_request(request: Request) -> bytes:
    """A request as one line of JSON."""
    fields = {name: getattr(request, name) for name in Request._fields}
    fields["ops"] = [
        {"op": type(op).__name__.lower(), **{name: _text(getattr(op, name)) for name in op._fields}}
        for op in request.ops
    ]
    return _encode(fields).encode()


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def decode_request(data: bytes) -> Request:
    """The request in `data`. Raises ValueError, KeyError or TypeError where it is torn."""
    fields: dict[str, Any] = json.loads(data)
    ops: list[Op] = []
    for op in fields["ops"]:
        kind = _OPS[op.pop("op")]
        ops.append(kind(**{name: v.encode() if name in ("text", "header", "section") else v for name, v in op.items()}))
    trailers = tuple((name, value) for name, value in fields["trailers"])
    fences = tuple(Token(*token) for token in fields["fences"])
    return Request(**{**fields, "ops": tuple(ops), "trailers": trailers, "fences": fences})


def encode_outcome(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON data."""
    if isinstance(outcome, Receipt):
        runs = [(path, len(list(same))) for path, same in groupby(outcome.paths)]
        return {"commit": outcome.commit, "paths": runs}
    return {"error": type(outcome).__name__, "message": str(outcome), "fields": vars(outcome)}


def decode_outcome(request: str, data: dict[str, Any]) -> Outcome:
    """The outcome of `request` in `data`."""
    if "commit" in data:
        paths = [path for path, times in data["paths"] for _ in range(times)]
        return Receipt(request, CommitId(data["commit"]), tuple(paths))
    kind = getattr(errors, data["error"], errors.SwarmError)
    refusal: errors.SwarmError = kind.__new__(kind, data["message"])  # each kind is made of other arguments
    vars(refusal).update(data.get("fields", {}))
    return refusal


class Spool:
    """The directories `new/`, `taken/`, `bad/` and `post/` under `root`."""

    def __init__(self, root: str, env: Env) -> None:
        self._root, self._env = root, env
        self.make()

    def make(self) -> None:
        """Make the directories, also after somebody deleted them."""
        for name in ("new", "taken", "bad", "post"):
            os.makedirs(f"{self._root}/{name}", exist_ok=True)

    def put(self, request: Request, reply: str) -> str:
        """Queue `request`; `reply` names the mailbox. Returns its name in the spool."""
        name = f"{int(self._env.now() * 1e9):020d}.{request.id}.{reply}.{FORMAT}"
        spare = self._spare(reply)
        data = encode_request(request)
        try:
            self._env.disk.overwrite(spare, data)
        except FileNotFoundError:
            self.make()
            self._env.disk.create(spare, data, sync=False)
        self._env.disk.rename(spare, f"{self._root}/new/{name}")
        return name

    def _spare(self, reply: str) -> str:
        # Making a file costs more than all else a request does, so a writer's file goes back and forth: the
        # leader returns it under this name before it answers. A writer that got no answer takes a new mailbox,
        # so nobody ever writes into a file that a leader may still rename.
        return f"{self._root}/new/.{reply}"

    def withdraw(self, name: str) -> bool:
        """Take a request back; False when a leader has it."""
        try:
            os.unlink(f"{self._root}/new/{name}")
        except FileNotFoundError:
            return False
        return True

    def waiting(self) -> list[str]:
        """Names of queued requests of our format, oldest first."""
        try:
            found = os.listdir(f"{self._root}/new")
        except FileNotFoundError:
            return []
        return sorted(name for name in found if name.endswith("." + FORMAT) and name[0] != ".")

    def leftovers(self) -> list[str]:
        """Names that a leader took and did not finish. Only with the commit lock held."""
        try:
            return sorted(name for name in os.listdir(f"{self._root}/taken") if name.endswith("." + FORMAT))
        except FileNotFoundError:
            return []

    def take(self, names: list[str]) -> list[tuple[str, Request]]:
        """Move requests from `new/` (or find them in `taken/`) and read them; what is no request goes to `bad/`."""
        out = []
        for name in names:
            taken = f"{self._root}/taken/{name}"
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{self._root}/new/{name}", taken)
                data = read_file(taken)
            except FileNotFoundError:  # its writer withdrew it, or somebody deleted the directories
                self.make()
                continue
            except (PermissionError, IsADirectoryError):  # another user's, or no request at all
                self._put_aside(name)
                continue
            except OSError:  # of this process, or of the moment
                with contextlib.suppress(OSError):
                    os.rename(taken, f"{self._root}/new/{name}")
                continue
            try:
                request = decode_request(data)
                check_request(request)
                if request.id != name.split(".")[1]:
                    raise ValueError(request.id)
            except Exception:  # whatever it is, it stops nobody else
                self._put_aside(name)
            else:
                out.append((name, request))
        return out

    def _put_aside(self, name: str) -> None:
        for place in ("taken", "new"):
            with contextlib.suppress(OSError):
                os.rename(f"{self._root}/{place}/{name}", f"{self._root}/bad/{name}")

    def answer(self, name: str, request: str, outcome: Outcome, *, leftover: bool) -> None:
        """Tell the writer, and be done with the request. The file of a leftover is not returned. Never raises OSError.

        The outcome stands: what goes wrong here costs the writer a wake-up, and the next leader a look.
        """
        spare = self._spare(name.split(".")[2])
        with contextlib.suppress(OSError):
            if leftover:
                self._env.disk.unlink(f"{self._root}/taken/{name}")
            else:
                self._env.disk.rename(f"{self._root}/taken/{name}", spare)
        if not self._post(name, {"request": request, **encode_outcome(outcome)}):
            with contextlib.suppress(OSError):
                os.unlink(spare)

    def wake(self, name: str) -> None:
        """Tell the writer of a queued request that the lock is free."""
        self._post(name, {})

    def _post(self, name: str, message: dict[str, Any]) -> bool:
        """Put a message into a writer's mailbox; False when nobody reads it any more. Never raises OSError."""
        path = f"{self._root}/post/{name.split('.')[2]}"
        data = json.dumps(message).encode() + b"\n"
        if len(data) > _MESSAGE_BYTES:
            data = json.dumps({"request": message["request"], "recorded": True}).encode() + b"\n"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            return error.errno not in (errno.ENXIO, errno.ENOENT)
        try:
            with contextlib.suppress(OSError):  # full, or gone meanwhile
                os.write(fd, data)
        finally:
            os.close(fd)
        return True

    def leave(self, reply: str) -> None:
        """The writer with the mailbox `reply` writes no more: remove its file."""
        with contextlib.suppress(OSError):
            os.unlink(self._spare(reply))

    def mailbox(self, token: str) -> Mailbox:
        """A mailbox of that name."""
        return Mailbox(f"{self._root}/post/{token}", token)


class Mailbox:
    """Where one writer waits for answers: a FIFO, so that the kernel wakes it and nobody polls."""

    def __init__(self, path: str, token: str) -> None:
        self.token = token
        self._path = path
        os.mkfifo(path, 0o600)
        # Open for writing too: then it is never at end of file, and a leader can tell that somebody lives here.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._buffer = b""

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """Messages that came, at once or within `seconds`; [] when none did."""
        if not self._poll.poll(seconds * 1000):
            return []
        with contextlib.suppress(BlockingIOError):
            self._buffer += os.read(self._fd, 65536)
        *lines, self._buffer = self._buffer.split(b"\n")
        out = []
        for line in lines:
            with contextlib.suppress(ValueError):  # the rest of a line whose writer was killed
                message = json.loads(line)
                if isinstance(message, dict):
                    out.append(message)
        return out

    def abandon(self) -> None:
        """Leave the FIFO to the parent process, in a child."""
        os.close(self._fd)

    def close(self) -> None:
        """Remove the FIFO."""
        os.close(self._fd)
        with contextlib.suppress(OSError):
            os.unlink(self._path)
