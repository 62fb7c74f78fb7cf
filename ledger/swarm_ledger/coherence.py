"""The coherence protocol: who owns which line, decided on a small table, with the time as an argument.

Pure: no clock, no disk, no randomness. Each function is one transition; `directory.py` runs it in one transaction.
An epoch is drawn from a counter that only grows, at each grant to another session, so that along a line epochs never
decrease; with the table's generation, which is raised at boot and whenever the table is lost, no token is ever
issued twice. Time decides only who may take over: a lease past its deadline stays its owner's until it is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from .errors import BadInput, Expired, Fenced, Owned, Refused
from .lines import Line, is_glob, overlap

__all__ = [
    "LONGEST_TTL",
    "TTL",
    "Holder",
    "Lease",
    "Table",
    "Token",
    "check_fences",
    "check_ttl",
    "hand_off",
    "inherit",
    "own",
    "release",
    "renew",
    "steal",
]

TTL = 900.0
_WORTH = 0.875
"""A lease is renewed when an eighth of its time is over, not at each of a hundred calls a second."""
LONGEST_TTL = 86_400.0
"""Seconds; who works longer renews it with each call."""


class Token(NamedTuple):
    """A fencing token: proves that its bearer was granted `line`, until somebody else is."""

    line: Line
    generation: int
    epoch: int

    def __str__(self) -> str:
        return f"{self.generation}.{self.epoch}"


class Holder(NamedTuple):
    """Who holds a lease: a session, under its agent's name."""

    session: str
    agent: str


class Lease(NamedTuple):
    """The last grant of a line. Live while `session` is set and the time is before `deadline`."""

    line: Line
    epoch: int
    session: str | None
    """None once it ended: released, stolen, or taken over when it had run out."""
    agent: str
    """Who holds it; of an ended one, who ended it."""
    since: float
    """When it was granted, in the directory's time (seconds of uptime)."""
    deadline: float
    """Until when it is sure, in the directory's time."""
    ttl: float
    """What a renewal adds."""
    note: str = ""
    """From whoever handed it over."""

    def live(self, now: float) -> bool:
        """Whether nobody else may take it."""
        return self.session is not None and now < self.deadline


class Table(Protocol):
    """A directory inside one transaction."""

    @property
    def generation(self) -> int:
        """Raised at each boot and whenever the table was lost."""

    def get(self, line: Line) -> Lease | None:
        """The last grant of just this line."""

    def globs(self, near: Line) -> Iterable[Lease]:
        """Every grant of a glob that has not ended and overlaps `near`; others may be among them."""

    def of(self, session: str) -> Iterable[Lease]:
        """Every grant to `session` that has not ended."""

    def put(self, lease: Lease) -> None:
        """Record a grant in the place of the line's last."""

    def next_epoch(self) -> int:
        """A number that is higher than any before in this generation."""


def check_ttl(ttl: float) -> float:
    """`ttl` if it is between 1 second and a day. Raises BadInput."""
    if not 1 <= ttl <= LONGEST_TTL:
        raise BadInput(f"a lease lasts from 1 to {LONGEST_TTL:.0f} seconds, not {ttl:.12g}; each call renews it.")
    return ttl


def own(table: Table, lines: Sequence[Line], me: Holder, ttl: float, now: float) -> list[Token]:
    """Grant all of `lines` to `me`, or raise Owned and change nothing. What is mine keeps its epoch.

    A lease of another that has run out and meets one of `lines` ends.
    """
    check_ttl(ttl)
    lapsed = [other for line in lines for other in _others(table, line, me)]
    for other in lapsed:
        if other.live(now):
            raise _owned(other, now)
    return _grant(table, lines, lapsed, me, ttl, now, "")


def steal(table: Table, lines: Sequence[Line], me: Holder, ttl: float, now: float) -> tuple[list[Token], list[Lease]]:
    """Grant `lines` to `me` whoever has them: (tokens, the leases of others that this ended)."""
    check_ttl(ttl)
    taken = [other for line in lines for other in _others(table, line, me)]
    return _grant(table, lines, taken, me, ttl, now, ""), list(dict.fromkeys(taken))


def release(table: Table, lines: Sequence[Line], me: Holder, tokens: Sequence[Token]) -> list[Line]:
    """Free `lines`, all of which `me` must own. Raises Fenced or Expired for a token that is not current, Refused."""
    mine = [_mine(table, line, me, tokens, "release") for line in dict.fromkeys(lines)]
    for lease in mine:
        table.put(lease._replace(session=None))
    return [lease.line for lease in mine]


def hand_off(table: Table, line: Line, me: Holder, to: Holder, note: str, tokens: Sequence[Token], now: float) -> Token:
    """Grant `line`, which `me` must own, to `to`. Raises as `release` does, and Refused where `me` would keep part."""
    lease = _mine(table, line, me, tokens, "hand over")
    for other in table.of(me.session):
        if other.line != line and overlap(other.line, line):  # two owners of what is in both
            raise Refused("overlap", f"{line} meets {other.line}, which is yours too; `swarm release` that one first.")
    (token,) = _grant(table, [line], [lease], to, lease.ttl, now, note)
    return token


def inherit(table: Table, before: Holder, me: Holder, now: float) -> list[Token]:
    """Grant `me` all that `before`, an earlier session of the same agent, owns."""
    return [
        token
        for lease in list(table.of(before.session))
        for token in _grant(table, [lease.line], [lease], me, lease.ttl, now, lease.note)
    ]


def renew(table: Table, session: str, now: float) -> None:
    """Move the deadlines of all leases of `session`. One that has run out and that nobody took is its own again."""
    for lease in list(table.of(session)):
        if lease.deadline < now + lease.ttl * _WORTH:
            table.put(lease._replace(deadline=now + lease.ttl))


def check_fences(table: Table, lines: Iterable[Line], session: str, tokens: Sequence[Token], now: float) -> None:
    """Whether `session`, which shows `tokens`, may write `lines` now. Raises Fenced, Expired, Owned.

    A token must be current, run out or not; a line without one must not be another's by a live lease.
    """
    shown = {token.line: token for token in tokens}
    for token in tokens:
        lease = table.get(token.line)
        if token.generation != table.generation:
            raise _expired(token)
        if lease is None or lease.session != session or lease.epoch != token.epoch:
            raise _fenced(token, lease)
    for line in lines:
        if line in shown:
            continue
        lease = table.get(line)
        if lease and lease.session != session and lease.live(now):
            raise _owned(lease, now)


def _others(table: Table, line: Line, me: Holder) -> list[Lease]:
    """The leases of others, live or run out, that meet `line`."""
    if is_glob(line):
        found = [lease for lease in table.globs(line) if overlap(lease.line, line)]
    else:
        lease = table.get(line)
        found = [lease] if lease else []
    return [lease for lease in found if lease.session not in (None, me.session)]


def _grant(
    table: Table, lines: Sequence[Line], ending: Iterable[Lease], me: Holder, ttl: float, now: float, note: str
) -> list[Token]:
    for other in ending:
        table.put(other._replace(session=None, agent=me.agent))
    tokens = []
    for line in dict.fromkeys(lines):
        lease = table.get(line)
        if lease and lease.session == me.session:
            lease = lease._replace(deadline=now + ttl, ttl=ttl)
        else:
            lease = Lease(line, table.next_epoch(), me.session, me.agent, now, now + ttl, ttl, note)
        table.put(lease)
        tokens.append(Token(line, table.generation, lease.epoch))
    return tokens


def _mine(table: Table, line: Line, me: Holder, tokens: Sequence[Token], verb: str) -> Lease:
    """The lease of `line`, for which `me` must have the current token."""
    lease = table.get(line)
    token = next((token for token in tokens if token.line == line), None)
    if token is None:
        if lease and lease.session == me.session:  # granted to a process that died before it noted the token
            return lease
        if lease and lease.session is not None:
            raise Refused("not-owner", f"{line} is {lease.agent}'s, not yours to {verb}; `swarm leases` lists them.")
        raise Refused("not-owner", f"you do not own {line}, so there is nothing to {verb}; `swarm leases` lists them.")
    if token.generation != table.generation:
        raise _expired(token)
    if lease is None or lease.session != me.session or lease.epoch != token.epoch:
        raise _fenced(token, lease)
    return lease


def _owned(lease: Lease, now: float) -> Owned:
    left = max(0.0, lease.deadline - now)
    return Owned(lease.line, lease.agent, lease.session or "", now - lease.since, left)


def _fenced(token: Token, lease: Lease | None) -> Fenced:
    return Fenced(token.line, str(token), lease.agent if lease else None)


def _expired(token: Token) -> Expired:
    return Expired(token.line, str(token))
