"""Leases, for an agent: own lines before long work, give them back, hand them over, take them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger import coherence
from swarm_ledger.coherence import TTL, Holder, Token
from swarm_ledger.errors import BadInput, Expired, Fenced, Owned
from swarm_ledger.ids import AgentName, path_of
from swarm_ledger.lines import Line, is_glob, parse_line
from swarm_ledger.store import BlobId

from .given import Note
from .reader import Reader, no_entry
from .session import Session, Sessions

if TYPE_CHECKING:
    from swarm_ledger.directory import Directory

    from .agent import Written

__all__ = ["Granted", "Owner", "inherit"]

_LONGEST_WAIT_S = 86_400.0


class Granted(NamedTuple):
    """A lease that was granted. A document comes with its text, noted as read: it stays so while the lease is live."""

    line: Line
    token: str
    until: float
    """POSIX seconds; each call of the session moves it on."""
    version: BlobId | None = None
    text: str | None = None


class Owner(Reader, ABC):
    """One who may own lines, in one session."""

    session: Session

    @property
    def _holder(self) -> Holder:
        return Holder(self.session.id, self.session.agent)

    def own(self, *lines: str, ttl: float = TTL, wait: float = 0.0) -> list[Granted]:
        """Lease all of `lines` (ids of documents, `path:GLOB`) for `ttl` seconds, or none.

        `wait`: for how many seconds to try again while somebody else has one. What is owned already is renewed. A
        deadline only makes a line claimable by others. Raises Owned, BadInput, NotFound, Busy, StorageError.
        """
        with self._recorded("own", lines):
            asked = self._lines(lines)
            if not 0 <= wait <= _LONGEST_WAIT_S:
                raise BadInput(f"wait from 0 to {_LONGEST_WAIT_S:.0f} seconds, not {wait:g}.")
            coherence.check_ttl(ttl)
            return self._granted(self._claim(asked, ttl, wait), ttl)

    def release(self, *lines: str) -> list[Line]:
        """End the leases of `lines`, or all of this session; the lines that are free now.

        Raises Refused for what is not owned, Fenced or Expired for what was lost before; then nothing is released.
        """
        directory = self._store.directory
        with self._recorded("release", lines) as named:
            asked = [parse_line(line) for line in lines]
            tokens = self.session.tokens()
            try:
                with directory.deciding() as table:
                    mine = asked or [lease.line for lease in table.of(self.session.id)]
                    done = coherence.release(table, mine, self._holder, [t for t in tokens.values() if t.line in mine])
            except (Fenced, Expired) as lost:
                self.session.drop([Line(lost.line)])
                raise
            self.session.drop(done if asked else {*tokens, *done})
            named[:] = done
        return done

    def handoff(self, line: str, to: str, note: str = "") -> AgentName:
        """Give the lease of `line` to the agent `to`, who is told so in the log; the name of that agent.

        Raises as `release` does, NotFound.
        """
        directory = self._store.directory
        with self._recorded("handoff", [line]):
            asked = parse_line(line)
            note = " ".join(note.split())
            self._may_say(note)
            heir = self._swarm.sessions.of(to)
            if heir.id == self.session.id:
                raise BadInput(f"{line} is yours already; name another agent.")
            tokens = [token for token in self.session.tokens().values() if token.line == asked]
            with directory.deciding() as table:
                holder = Holder(heir.id, heir.agent)
                token = coherence.hand_off(table, asked, self._holder, holder, note, tokens, directory.now())
            self.session.drop([asked])
            heir.hold([token])
            said = f"{asked} is yours now{f': {note}' if note else '.'}"
            self.log_many([Note(said, to=heir.agent, tags=["handoff"])])
        return heir.agent

    def steal(self, line: str, why: str, *, ttl: float = TTL) -> Granted:
        """Take the lease of `line` from whoever has it. Who loses one is told why, in the log.

        Raises BadInput, NotFound.
        """
        directory = self._store.directory
        with self._recorded("steal", [line]):
            if not why.strip():
                raise BadInput("say why: whoever is at work on it will want to know.")
            self._may_say(why)
            (asked,) = self._lines([line])
            with directory.deciding() as table:
                tokens, ended = coherence.steal(table, [asked], self._holder, ttl, directory.now())
            self.session.hold(tokens)
            for lost in ended:
                said = f"{lost.line} was taken from {lost.agent}: {why.strip()}"
                self.log_many([Note(said, to=lost.agent, tags=["steal"])])
            return self._granted(tokens, ttl)[0]

    @abstractmethod
    def log_many(self, notes: Iterable[Note]) -> list[Written]:
        """What is said to others is logged; see Agent."""

    @abstractmethod
    def _may_say(self, text: str) -> None:
        """Raises Refused for a text that no log of this ledger may hold, before anything is done because of it."""

    def _lines(self, lines: Sequence[str]) -> list[Line]:
        """The lines meant; the documents among them are there. Raises BadInput, NotFound."""
        if not lines:
            raise BadInput("name what to own: ids of documents, or path:GLOB for code.")
        asked = [parse_line(line) for line in lines]
        paths = {line: path_of(line) for line in asked if not is_glob(line)}
        there = self._store.read_many(list(paths.values()))
        for line, path in paths.items():
            if path not in there:
                raise no_entry(line)
        return asked

    def _claim(self, lines: Sequence[Line], ttl: float, wait: float) -> list[Token]:
        env, directory = self._env, self._store.directory
        until, pause = env.monotonic() + wait, 0.05
        while True:
            try:
                with directory.deciding() as table:
                    tokens = coherence.own(table, lines, self._holder, ttl, directory.now())
            except Owned:
                left = until - env.monotonic()
                if left <= 0:
                    raise
                # No queue: nothing is left behind by one who waits and dies. Jitter keeps those who wait apart.
                env.sleep(min(left, pause * (0.5 + env.rng.random())))
                pause = min(pause * 1.5, 1.0)
                continue
            self.session.hold(tokens)
            return tokens

    def _granted(self, tokens: Sequence[Token], ttl: float) -> list[Granted]:
        """What was granted, with the texts. They are read after the grant, so nobody changes them any more."""
        until = round(self._env.now() + ttl, 3)
        paths = {token.line: path_of(token.line) for token in tokens if not is_glob(token.line)}
        there = self._store.read_many(list(paths.values()))
        texts = {line: there[path] for line, path in paths.items() if path in there}
        self.session.saw([(text.path, text.blob) for text in texts.values()], self._env.now())
        out = []
        for token in tokens:
            text = texts.get(token.line)
            version, said = (text.blob, text.text.decode(errors="replace")) if text else (None, None)
            out.append(Granted(token.line, str(token), until, version, said))
        return out


def inherit(directory: Directory, sessions: Sessions, before: Sequence[Session], session: Session) -> None:
    """Grant `session`, which has just begun, the leases of its agent's earlier ones here. Raises Busy, StorageError.

    Those are the sessions `before`, and those that a call which died joining, or one beside this, has left: whichever
    session began last has them in the end.
    """
    earlier = {one.id for one in before if one.agent == session.agent and one.tokens()}
    for lease in directory.leases():
        if lease.session and lease.agent == session.agent and sessions.began_here(lease.session):
            earlier.add(lease.session)
    if not earlier:
        return
    tokens: list[Token] = []
    with directory.deciding() as table:
        now, me = directory.now(), Holder(session.id, session.agent)
        if sessions.joined() == session:
            for one in sorted(earlier):
                tokens += coherence.inherit(table, Holder(one, session.agent), me, now)
    session.hold(tokens)
