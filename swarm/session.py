"""Who acts, and what they have read.

An agent's session is made by `join` and kept in files under the ledger's home, because the process of a command
is dead milliseconds after it answered. What a session has read is a file of its own, one line for each reading:
no lock is needed to read, and the last line for an entry is the version that the session knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from swarm_ledger.coherence import Token
from swarm_ledger.env import Env, read_file, storage_error
from swarm_ledger.errors import Busy, NotFound
from swarm_ledger.filelock import FileLock
from swarm_ledger.ids import AgentName, agent_name, new_request
from swarm_ledger.lines import Line
from swarm_ledger.place import Place
from swarm_ledger.store import BlobId

__all__ = ["Joined", "Member", "Session", "Sessions"]

GONE = "-"
"""Stands for the version of an entry that this session removed."""
_JOIN_SECONDS = 10.0
_TOKENS_BYTES = 1024
_TAILS: dict[str, tuple[int, bytes, dict[str, BlobId]]] = {}
"""File of what a session has read → (how far this process looked into it, what stands before that, what `latest` found
up to there)."""
_MARK = 64
"""So many bytes tell that a file is the one that was looked at: versions and times do not come twice in an order."""


class Session(NamedTuple):
    """One stretch of an agent's work: what it has read counts from `join` or `reset` on."""

    id: str
    agent: AgentName
    role: str | None
    home: str

    @property
    def _seen_file(self) -> str:
        return f"{self.home}/sessions/{self.id}.seen"

    @property
    def _tokens_file(self) -> str:
        return f"{self.home}/sessions/{self.id}.tokens"

    def saw(self, versions: Iterable[tuple[str, BlobId | None]], at: float) -> None:
        """Note that this session knows these versions from the moment `at` on; None is an entry that it removed.

        An entry is named by its path; one in a log, whose path is that of many, by its id. Raises StorageError.
        """
        data = "".join(f"\n{place} {version or GONE} {int(at)}" for place, version in versions).encode()
        try:
            if data:
                append_line(self._seen_file, data)
        except OSError as error:
            raise storage_error(error, "noting what was read") from None

    def last(self, place: str) -> BlobId | None:
        """The version that this session read or wrote last of what is at `place`, or None."""
        return self.seen().get(place)

    def latest(self, number: int) -> dict[str, BlobId]:
        """Place → version of what this session read or wrote last, up to `number` of them, the last one at the end."""
        end, mark, out = _TAILS.get(self._seen_file, (0, b"", {}))
        try:
            fd = os.open(self._seen_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        try:
            size = os.fstat(fd).st_size
            added = os.pread(fd, size - end + len(mark), end - len(mark)) if end <= size <= end + 128 * number else b""
            if not added or not added.startswith(mark):  # much was added, or all was forgotten meanwhile
                end, mark, out = max(0, size - 128 * number), b"", {}
                added = os.pread(fd, size - end, end)
        finally:
            os.close(fd)
        out = dict(out)
        for line in added[len(mark) :].decode(errors="replace").split("\n"):
            words = line.split(" ")
            if len(words) == 3 and len(words[1]) == 40:
                out.pop(words[0], None)
                out[words[0]] = BlobId(words[1])
        for place in [*out][:-number]:
            del out[place]
        _TAILS[self._seen_file] = size, added[-_MARK:], out
        return out

    def seen(self) -> dict[str, BlobId]:
        """What this session has read: place → the version read last."""
        out: dict[str, tuple[BlobId, str]] = {}
        for line in _lines(self._seen_file):
            match line.split(" "):
                case [place, version, at] if len(version) == 40 and at.isdecimal():
                    out[place] = BlobId(version), at
                case [place, version, at] if version == GONE:
                    out.pop(place, None)
                case ["!", since] if since.isdecimal():
                    out = {place: known for place, known in out.items() if int(known[1]) >= int(since)}
                case _:  # torn by a power loss
                    pass
        return {place: known[0] for place, known in out.items()}

    def reset(self, since: float | None = None) -> None:
        """Forget what was read, or what was read before `since`; for a context that no longer holds it."""
        _TAILS.pop(self._seen_file, None)
        try:
            if since is not None:
                append_line(self._seen_file, f"\n! {int(since)}".encode())
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.truncate(self._seen_file, 0)
        except OSError as error:
            raise storage_error(error, "forgetting what was read") from None

    def hold(self, tokens: Iterable[Token]) -> None:
        """Keep the tokens of leases, to be shown with each write. Raises StorageError."""
        self._note_tokens("".join(f"\n{token.generation} {token.epoch} {token.line}" for token in tokens))

    def drop(self, lines: Iterable[Line]) -> None:
        """Forget the tokens of `lines`. Raises StorageError."""
        self._note_tokens("".join(f"\n- - {line}" for line in lines))

    def tokens(self) -> dict[Line, Token]:
        """The tokens that this session was given last, current or not."""
        out: dict[Line, Token] = {}
        for text in _lines(self._tokens_file):
            match text.split(" ", 2):
                case [generation, epoch, line] if generation.isdecimal() and epoch.isdecimal():
                    out[Line(line)] = Token(Line(line), int(generation), int(epoch))
                case ["-", "-", line]:
                    out.pop(Line(line), None)
                case _:  # torn by a power loss
                    pass
        return out

    def _note_tokens(self, text: str) -> None:
        try:
            if text:
                append_line(self._tokens_file, text.encode())
                with contextlib.suppress(FileNotFoundError):  # another process of this session was first
                    self._tidy()
        except OSError as error:
            raise storage_error(error, "noting the leases") from None

    def _tidy(self) -> None:
        """Begin the file anew where nearly all of it is of leases that ended: whoever wants a token reads all of it.

        What another process of this session notes in the same moment may be lost: then that token is not shown, and
        who took the line meanwhile is found by the directory and by the base version instead.
        """
        size = os.path.getsize(self._tokens_file)
        if size > _TOKENS_BYTES:
            held = self.tokens()
            if size > _TOKENS_BYTES + 2 * sum(len(line.encode()) + 40 for line in held):
                # Not emptied in place: file systems then write what follows to disk at once, which takes milliseconds.
                os.unlink(self._tokens_file)
                self.hold(held.values())


class Joined(NamedTuple):
    """What `join` did: the session, the name that was asked for, which may be taken, and who was here before."""

    session: Session
    asked: AgentName
    replaced: AgentName | None
    """Another agent, who was the one of this worktree until now."""


class Member(NamedTuple):
    """An agent of this ledger on this machine: where, as what, and whether that worktree still exists."""

    name: AgentName
    role: str | None
    directory: str
    """The worktree; in a bare repository, or outside of any, the directory."""
    present: bool
    joined: bool
    """Whether it joined; else it acted by name only."""


class Sessions:
    """The sessions kept under one ledger's home, seen from one directory."""

    def __init__(self, place: Place, cwd: str, env: Env) -> None:
        self._home, self._env = place.home, env
        here = os.path.realpath(place.git_dir) if place.git_dir else os.path.realpath(cwd)
        self._where, self._worktree = here, os.path.realpath(place.worktree) if place.worktree else here
        # Outside a repository a session belongs to the directory that joined, and to all below it.
        self._known = [here] if place.git_dir else list(_upwards(here))

    def join(self, name: str, role: str | None = None) -> Joined:
        """A fresh session for the agent `name` of this worktree.

        Where another worktree that still exists has the name, the next free one of name-2, name-3 … is taken. An
        agent that joins again keeps its role, unless it is given another. Raises BadInput for a bad name, Busy,
        StorageError.
        """
        asked = agent_name(name)
        if role is not None:
            role = " ".join(role.split()) or None
        try:
            for part in ("names", "sessions", "worktrees"):
                os.makedirs(f"{self._home}/{part}", exist_ok=True)
            with self._alone():
                before = self.joined()
                taken = self._take(asked)
                role = role or self._role(taken)
                self._write(f"{self._home}/names/{taken}", self._here(role), replace=True)
                if before and before.agent != taken:  # goes on by its name
                    self._store(f"worktrees/{_key(self._where)}.{before.agent}.json", before)
                session = self._start(taken, role)
                self._store(f"worktrees/{_key(self._where)}.json", session)
        except OSError as error:
            raise storage_error(error, "joining") from None
        return Joined(session, asked, before.agent if before and before.agent != taken else None)

    def joined(self) -> Session | None:
        """The session of the agent that joined in this worktree, or None."""
        for directory in self._known:
            found = self._load(f"worktrees/{_key(directory)}.json")
            if found:
                return found
        return None

    def find(self, name: str) -> Session | None:
        """The session of the agent `name` in this worktree, or None; `acting_as` makes one."""
        joined = self.joined()
        if joined and joined.agent == name:
            return joined
        return self._load(f"worktrees/{_key(self._where)}.{agent_name(name)}.json")

    def git_dir(self, session: str) -> str | None:
        """The git directory of the worktree (outside a repository: the directory) where `session` began, or None."""
        data = self._json(f"sessions/{session}.json")
        return data.get("directory") if data else None

    def began_here(self, session: str) -> bool:
        """Whether `session` began in this worktree (outside a repository: in this directory)."""
        return self.git_dir(session) == self._where

    def acting_as(self, name: str) -> Session:
        """The session of the agent `name` in this worktree: the joined one, or one made for it without joining."""
        found = self.find(name)
        if found:
            return found
        agent = agent_name(name)
        path = f"worktrees/{_key(self._where)}.{agent}.json"
        try:
            for part in ("sessions", "worktrees"):
                os.makedirs(f"{self._home}/{part}", exist_ok=True)
            session = self._start(agent, self._role(agent))
            try:
                self._store(path, session, replace=False)
            except FileExistsError:  # another command of the same agent was first
                return self._load(path) or session
        except OSError as error:
            raise storage_error(error, "starting a session") from None
        return session

    def of(self, name: str) -> Session:
        """The newest session of the agent `name`, in whichever worktree. Raises BadInput, NotFound."""
        agent = agent_name(name)
        holder = self._json(f"names/{agent}")
        files = [f"worktrees/{_key(str(holder['directory']))}.json"] if holder and "directory" in holder else []
        files += [f"worktrees/{file}" for file in self._files("worktrees") if file.endswith(f".{agent}.json")]
        for file in files:
            found = self._load(file)
            if found and found.agent == agent:
                return found
        raise NotFound(f"no agent {agent} has joined; `swarm status` lists those who have.")

    def members(self) -> list[Member]:
        """Every agent that joined this ledger on this machine, or acted in it by name, by name and worktree."""
        found: dict[tuple[str, str], Member] = {}
        for file in self._files("worktrees"):
            name = file.removesuffix(".json").partition(".")[2]
            if name and (data := self._json(f"worktrees/{file}")) and "directory" in data:
                member = _member(name, data, joined=False)
                found[name, member.directory] = member
        for name in self._files("names"):
            if data := self._json(f"names/{name}"):
                member = _member(name, data, joined=True)
                found[name, member.directory] = member
        return [found[key] for key in sorted(found)]

    def _files(self, directory: str) -> list[str]:
        try:
            return [name for name in os.listdir(f"{self._home}/{directory}") if not name.startswith(".")]
        except FileNotFoundError:
            return []

    def _here(self, role: str | None) -> dict[str, Any]:
        return {"directory": self._where, "worktree": self._worktree, "role": role}

    def _role(self, agent: AgentName) -> str | None:
        """As what `agent` joined in this worktree."""
        data = self._json(f"names/{agent}")
        return data.get("role") if data and data.get("directory") == self._where else None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One joins at a time: taking over the name of a worktree that is gone is two steps."""
        lock = FileLock(f"{self._home}/names/.lock")
        try:
            if not lock.acquire(self._env, _JOIN_SECONDS, 0.005):
                raise Busy(
                    f"another process has held {self._home}/names/.lock for {_JOIN_SECONDS:.0f} s; "
                    "nobody joined. Continue or end that process, then try again."
                )
            yield
        finally:
            lock.close()

    def _take(self, asked: AgentName) -> AgentName:
        numbered = re.compile(re.escape(asked) + "(?:-[0-9]+)?")
        known = (name for name in self._files("names") if numbered.fullmatch(name))
        own = (name for name in known if (self._json(f"names/{name}") or {}).get("directory") == self._where)
        mine = min(own, key=lambda name: (len(name), name), default=None)
        if mine:
            return AgentName(mine)
        number = 1
        while True:
            name = agent_name(asked if number == 1 else f"{asked}-{number}")
            number += 1
            holder = self._json(f"names/{name}")
            if holder and _exists(str(holder.get("directory", ""))):
                continue
            path = f"{self._home}/names/{name}"
            # Exclusive, so that names stay unique even for one whose lock file was deleted.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with contextlib.suppress(FileExistsError):
                self._write(path, self._here(None), replace=False)
                return name

    def _start(self, agent: AgentName, role: str | None) -> Session:
        session = Session(new_request(self._env.rng), agent, role, self._home)
        self._store(f"sessions/{session.id}.json", session, replace=False)
        return session

    def _store(self, path: str, session: Session, *, replace: bool = True) -> None:
        data = {"agent": session.agent, "session": session.id, **self._here(session.role)}
        self._write(f"{self._home}/{path}", data, replace=replace)

    def _write(self, path: str, data: dict[str, Any], *, replace: bool) -> None:
        directory, _, name = path.rpartition("/")
        whole = f"{directory}/.{name}.{new_request(self._env.rng)}"
        self._env.disk.create(whole, json.dumps(data).encode() + b"\n")
        try:
            if replace:
                self._env.disk.rename(whole, path)
            else:
                self._env.disk.link(whole, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                self._env.disk.unlink(whole)

    def _json(self, path: str) -> dict[str, Any] | None:
        try:
            with open(f"{self._home}/{path}", encoding="utf-8") as file:
                data = json.load(file)
        except (FileNotFoundError, ValueError):  # torn by a power loss: as if it were not there
            return None
        return data if isinstance(data, dict) else None

    def _load(self, path: str) -> Session | None:
        data = self._json(path)
        if not data or not isinstance(data.get("agent"), str) or not isinstance(data.get("session"), str):
            return None
        return Session(data["session"], AgentName(data["agent"]), data.get("role"), self._home)


def append_line(path: str, data: bytes) -> None:
    """Add `data` to a file in one write, so that lines of several processes never mix. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, flags, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _lines(path: str) -> list[str]:
    """The lines of a file; [] where it is not there. Each begins with its newline, so a torn one spoils no other."""
    try:
        return read_file(path).decode(errors="replace").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return []


def _member(name: str, data: Mapping[str, Any], *, joined: bool) -> Member:
    git_dir = str(data.get("directory", ""))
    worktree = str(data.get("worktree") or git_dir)
    return Member(AgentName(name), data.get("role"), worktree, _exists(git_dir), joined)


def _key(directory: str) -> str:
    return hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]


def _upwards(directory: str) -> Iterator[str]:
    yield directory
    while (parent := os.path.dirname(directory)) != directory:
        yield (directory := parent)


def _exists(directory: str) -> bool:
    """Whether the worktree whose git directory this is (or this plain directory) is still there."""
    if not os.path.isdir(directory):
        return False
    try:
        with open(f"{directory}/gitdir", encoding="utf-8", errors="surrogateescape") as file:
            return os.path.exists(os.path.join(directory, file.read().rstrip("\n")))
    except FileNotFoundError:  # not a linked worktree
        return True
