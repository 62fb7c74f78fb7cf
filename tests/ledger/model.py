"""Every state that one line and three sessions can get into: a breadth-first search over the shipped core.

Grants, releases, thefts, handovers and the checks at the commit are those of `coherence.py`. Around them the model
lets time pass at any moment, leaves edits on their way for as long as it likes, delivers them twice, kills a call
between any two of its steps, and loses the directory. `Rules` names each guard, so that a test can take one away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from swarm_ledger.coherence import Holder, Lease, Token, check_fences, hand_off, own, release, renew, steal
from swarm_ledger.errors import Expired, Fenced, Owned, Refused
from swarm_ledger.lines import Line

LINE = Line("plan-x")
NOW = 0.0
TTL = 60.0
DENIED = (Owned, Fenced, Expired, Refused)


class Bounds(NamedTuple):
    """How far the search goes."""

    sessions: int = 3
    grants: int = 3
    edits: int = 2
    losses: int = 1
    calls: bool = False
    """Whether a read is several steps, at each of which it may die; else it is one, and contexts are left out."""


@dataclass(frozen=True)
class Rules:
    """The guards. False takes one away."""

    base: bool = True
    """An edit names the version that it replaces."""
    bump: bool = True
    """A grant to another session has a new epoch."""
    fence: bool = True
    """A token that an edit shows must be current."""
    owner: bool = True
    """An edit of what another owns is refused."""
    generation: bool = True
    """A directory that was lost has another generation."""
    seen_first: bool = True
    """What is read is noted before it is answered."""
    lookup: bool = True
    """A request that is in history is not decided again."""
    swap: bool = True
    """The branch moves only from where it was when the edit was decided."""
    again: bool = True
    """Leases are looked at once more when the branch moves."""
    exclusive: bool = True
    """A live lease is not granted to another."""
    lapse: bool = True
    """A lease that has run out can be claimed by another."""


class Session(NamedTuple):
    """One agent: what its files say, and what its context holds."""

    token: tuple[int, int] | None = None
    seen: int | None = None
    context: int | None = None
    step: str = ""
    """"noted", "answered": in the middle of a read."""
    reading: int = 0
    """The version that this read found."""
    retry: bool = False
    """Its last read got no answer, so it reads again before it believes what it has."""


class Edit(NamedTuple):
    """A request. `committed` is the version that it made, 0 before."""

    session: int
    base: int
    token: tuple[int, int] | None
    decided: int | None = None
    committed: int = 0
    acknowledged: bool = False


class State(NamedTuple):
    """Everything. The lease is (epoch, session, live); an ended one has no session."""

    generation: int = 1
    epoch: int = 0
    lease: tuple[int, int | None, bool] | None = None
    version: int = 1
    fence: tuple[int, int] = (0, 0)
    """The last token in history."""
    sessions: tuple[Session, ...] = ()
    edits: tuple[Edit, ...] = ()
    issued: tuple[int, int] = (0, 0)
    """The last token that was issued."""
    grants: int = 0
    losses: int = 0


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, name: str, trace: tuple[str, ...] = ()) -> None:
        self.name, self.trace = name, trace
        super().__init__(f"{name}: {' · '.join(trace)}")


class Rows:
    """The table of one state, as the core wants it."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.generation, self.epoch, self.lease, self._rules = state.generation, state.epoch, state.lease, rules

    def get(self, line: Line) -> Lease | None:
        if self.lease is None:
            return None
        epoch, session, live = self.lease
        name = None if session is None else f"s{session}"
        return Lease(LINE, epoch, name, name or "", NOW, NOW + TTL if live else NOW - 1, TTL)

    def globs(self, near: Line) -> list[Lease]:
        return []

    def of(self, session: str) -> list[Lease]:
        lease = self.get(LINE)
        return [lease] if lease and lease.session == session else []

    def put(self, lease: Lease) -> None:
        session = None if lease.session is None else int(lease.session[1:])
        self.lease = lease.epoch, session, lease.deadline > NOW

    def next_epoch(self) -> int:
        if self._rules.bump or self.epoch == 0:
            self.epoch += 1
        return self.epoch


def holder(session: int) -> Holder:
    return Holder(f"s{session}", f"s{session}")


def tokens(token: tuple[int, int] | None) -> list[Token]:
    return [Token(LINE, *token)] if token else []


class Model:
    """The protocol under some rules, within some bounds."""

    def __init__(self, rules: Rules = Rules(), bounds: Bounds = Bounds()) -> None:  # noqa: B008 - both are constants
        self.rules, self.bounds = rules, bounds

    def explore(self) -> int:
        """Go through all states: their number. Raises Violation with the shortest trace to one."""
        start = State(sessions=(Session(),) * self.bounds.sessions)
        came: dict[State, tuple[State, str] | None] = {start: None}
        frontier = [start]
        while frontier:
            after = []
            for state in frontier:
                try:
                    self.check(state)
                    for name, new in self.steps(state):
                        new = self._named_alike(new)
                        if new not in came:
                            came[new] = state, name
                            after.append(new)
                except Violation as found:
                    raise Violation(found.name, (*trace(came, state), *found.trace)) from None
            frontier = after
        return len(came)

    def _named_alike(self, state: State) -> State:
        """The same state with its sessions in order: who is called what makes no difference."""
        owner = state.lease[1] if state.lease else None
        edits = [[(n, edit.base) for n, edit in enumerate(state.edits) if edit.session == s] for s in range(9)]
        order = sorted(range(self.bounds.sessions), key=lambda s: (repr(state.sessions[s]), s == owner, edits[s]))
        name = {old: new for new, old in enumerate(order)}
        return state._replace(
            sessions=tuple(state.sessions[s] for s in order),
            lease=state.lease and (state.lease[0], None if owner is None else name[owner], state.lease[2]),
            edits=tuple(edit._replace(session=name[edit.session]) for edit in state.edits),
        )

    # What can happen

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        for s in range(self.bounds.sessions):
            yield from self._reads(state, s)
            if state.sessions[s].step:
                continue
            yield from self._leases(state, s)
            yield from self._submits(state, s)
        for n in range(len(state.edits)):
            yield from self._delivers(state, n)
        if state.lease and state.lease[1] is not None and state.lease[2]:
            yield "time passes", state._replace(lease=(*state.lease[:2], False))
        if state.losses < self.bounds.losses:
            generation = state.generation + 1 if self.rules.generation else state.generation
            yield "the directory is lost", state._replace(generation=generation, epoch=0, lease=None, losses=1)

    def _reads(self, state: State, s: int) -> Iterator[tuple[str, State]]:
        """A read is two steps, and may die between them."""
        me, note, tell = state.sessions[s], "noted", "answered"
        if not self.bounds.calls:
            if me.seen != state.version:
                yield f"s{s} reads", self._with(state, s, me._replace(seen=state.version))
        elif not me.step:
            if (me.seen, me.context) == (state.version, state.version):
                return
            if self.rules.seen_first:
                first = me._replace(seen=state.version, step=note, reading=state.version)
            else:
                first = me._replace(context=state.version, step=tell, reading=state.version)
            yield f"s{s} begins to read", self._with(state, s, first)
        elif me.step == note:
            yield (
                f"s{s} is answered",
                self._with(state, s, me._replace(context=me.reading, step="", reading=0, retry=False)),
            )
            yield f"s{s} dies unanswered", self._with(state, s, me._replace(step="", reading=0, retry=True))
        else:
            yield f"s{s} notes", self._with(state, s, me._replace(seen=me.reading, step="", reading=0))
            yield f"s{s} dies answered", self._with(state, s, me._replace(step="", reading=0))

    def _leases(self, state: State, s: int) -> Iterator[tuple[str, State]]:
        me = state.sessions[s]
        if state.grants < self.bounds.grants:
            rows = Rows(state, self.rules)
            try:
                if not self.rules.exclusive and rows.lease:
                    rows.lease = (*rows.lease[:2], False)
                if not self.rules.lapse and rows.lease and rows.lease[1] is not None:
                    rows.lease = (*rows.lease[:2], True)
                (token,) = own(rows, [LINE], holder(s), TTL, NOW)
                if state.lease and state.lease[2] and state.lease[1] not in (None, s):
                    raise Violation("I1", (f"s{s} is granted the live lease of s{state.lease[1]}",))
                yield f"s{s} owns", self._granted(state, rows, s, token)
            except DENIED:
                pass
            rows = Rows(state, self.rules)
            (token,), _ = steal(rows, [LINE], holder(s), TTL, NOW)
            yield f"s{s} steals", self._granted(state, rows, s, token)
            for to in range(self.bounds.sessions):
                rows = Rows(state, self.rules)
                try:
                    token = hand_off(rows, LINE, holder(s), holder(to), "", tokens(me.token), NOW)
                    dropped = self._with(state, s, me._replace(token=None))
                    if to != s:
                        yield f"s{s} hands over to s{to}", self._granted(dropped, rows, to, token)
                except DENIED:
                    pass
        if me.token:
            rows = Rows(state, self.rules)
            try:
                release(rows, [LINE], holder(s), tokens(me.token))
                yield f"s{s} releases", self._with(state._replace(lease=rows.lease), s, me._replace(token=None))
            except DENIED:
                pass
            rows = Rows(state, self.rules)
            renew(rows, f"s{s}", NOW)
            yield f"s{s} renews", state._replace(lease=rows.lease)

    def _granted(self, state: State, rows: Rows, s: int, token: Token) -> State:
        key = token.generation, token.epoch
        if not (state.lease and state.lease[:2] == (token.epoch, s)):  # not a renewal
            if key <= state.issued:
                raise Violation("I3", (f"token {token} is granted to s{s} after {state.issued}",))
            state = state._replace(issued=key)
        state = state._replace(epoch=rows.epoch, lease=rows.lease, grants=state.grants + 1)
        return self._with(state, s, state.sessions[s]._replace(token=key))

    def _submits(self, state: State, s: int) -> Iterator[tuple[str, State]]:
        """An edit is based on what the seen-file says, and is on its way for as long as it takes."""
        me = state.sessions[s]
        if len(state.edits) < self.bounds.edits and me.seen is not None:
            edit = Edit(s, me.seen, me.token)
            yield f"s{s} submits #{len(state.edits)} on v{me.seen}", state._replace(edits=(*state.edits, edit))

    def _delivers(self, state: State, n: int) -> Iterator[tuple[str, State]]:
        """A leader decides an edit, then moves the branch; it may die between, and another finds the edit again."""
        edit, rules = state.edits[n], self.rules
        if edit.decided is None:
            if edit.committed and rules.lookup:
                yield from self._acknowledges(state, n)
                return
            if self._denied(state, edit) or (rules.base and edit.base != state.version):
                if edit.committed:
                    raise Violation("I6", (f"#{n} is refused although it is in history",))
                return
            yield f"#{n} is decided", self._with_edit(state, n, edit._replace(decided=state.version))
            return
        if rules.swap and edit.decided != state.version:
            yield f"#{n} is decided anew", self._with_edit(state, n, edit._replace(decided=None))
            return
        if rules.again and self._denied(state, edit):
            yield f"#{n} lost its lease", self._with_edit(state, n, edit._replace(decided=None))
            return
        yield f"#{n} is committed", self._commit(state, n)

    def _denied(self, state: State, edit: Edit) -> bool:
        shown = tokens(edit.token) if self.rules.fence else []
        lines = [LINE] if self.rules.owner and not (shown and self.rules.fence) else []
        try:
            check_fences(Rows(state, self.rules), lines, f"s{edit.session}", shown, NOW)
        except DENIED:
            return True
        return False

    def _commit(self, state: State, n: int) -> State:
        edit = state.edits[n]
        current = state.lease and (state.generation, state.lease[0])
        if edit.committed:
            raise Violation("I6", (f"#{n} is in history twice",))
        if edit.base != state.version:
            raise Violation("I2", (f"#{n}, based on v{edit.base}, replaces v{state.version}",))
        if state.lease and state.lease[2] and state.lease[1] not in (None, edit.session):
            raise Violation("I1b", (f"#{n} lands beside the live lease of s{state.lease[1]}",))
        if edit.token and (edit.token != current or (state.lease and state.lease[1] != edit.session)):
            raise Violation("I1", (f"#{n} lands under token {edit.token}, which is not current",))
        if edit.token and edit.token < state.fence:
            raise Violation("I3", (f"#{n} shows {edit.token} after {state.fence}",))
        version = state.version + 1
        done = self._with_edit(state, n, edit._replace(decided=None, committed=version))
        return done._replace(version=version, fence=edit.token or state.fence)

    def _acknowledges(self, state: State, n: int) -> Iterator[tuple[str, State]]:
        """The writer notes its own version, and has its answer."""
        edit = state.edits[n]
        me = state.sessions[edit.session]
        if edit.acknowledged or me.step:
            return
        told = me._replace(seen=edit.committed)
        if self.bounds.calls:
            told = told._replace(context=edit.committed, retry=False)
        yield (
            f"#{n} is acknowledged",
            self._with(self._with_edit(state, n, edit._replace(acknowledged=True)), edit.session, told),
        )

    @staticmethod
    def _with(state: State, s: int, session: Session) -> State:
        return state._replace(sessions=(*state.sessions[:s], session, *state.sessions[s + 1 :]))

    @staticmethod
    def _with_edit(state: State, n: int, edit: Edit) -> State:
        return state._replace(edits=(*state.edits[:n], edit, *state.edits[n + 1 :]))

    # What must hold in each state (the rest is looked at where it happens)

    def check(self, state: State) -> None:
        current = state.lease and (state.generation, state.lease[0])
        bearers = [s for s, one in enumerate(state.sessions) if one.token and one.token == current]
        if len(bearers) > 1:
            raise Violation("I1", (f"{bearers} hold the current epoch",))
        for s, one in enumerate(state.sessions):
            stale = one.seen is not None and one.seen != state.version
            if one.context is not None and one.context != state.version and not (stale or one.retry or one.step):
                raise Violation("I4", (f"s{s} has v{one.context}, and is not told of v{state.version}",))
        if state.lease and state.lease[1] is not None:
            rows = Rows(state._replace(lease=(*state.lease[:2], not self.rules.lapse)), self.rules)
            try:
                own(rows, [LINE], holder((state.lease[1] + 1) % self.bounds.sessions), TTL, NOW)
            except Owned:
                raise Violation("I8", ("a lease that has run out is not claimable",)) from None


def trace(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    """How the search got to `state`."""
    steps: list[str] = []
    while (before := came[state]) is not None:
        state, name = before
        steps.append(name)
    return tuple(reversed(steps))
