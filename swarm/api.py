"""The ledger as a program uses it: open it, join as an agent, read and write.

with Swarm.open() as swarm:
    agent = swarm.join("carol")
    agent.log("the login test is flaky", tags=["error"])
    fact = agent.remember("Sessions expire after 15 minutes", cite=["src/auth.py:10-24"])
    hits = agent.recall("session expiry")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from swarm_ledger.env import Env
from swarm_ledger.ids import EntryId
from swarm_ledger.place import Place, require_ledger
from swarm_ledger.store import BlobId, CommitId, Store

from .reader import Reader
from .record import Record
from .session import Member, Session, Sessions

if TYPE_CHECKING:
    from swarm_indexes.embedder import Embedder
    from swarm_indexes.protocol import LexicalIndex

    from .agent import Agent
    from .factindex import FactIndex
    from .gates import Policy
    from .sketches import Sketches
    from .use import UseIndex
    from .verdicts import Evidence

__all__ = ["Status", "Swarm"]

_SETTINGS_S = 1.0
"""For so long a process that writes goes by the settings that it read."""


class Status(NamedTuple):
    """Where a ledger is and what it holds."""

    ledger: str
    tip: CommitId | None
    entries: Mapping[str, int]
    """Kind → number, of the kinds that there are."""
    agents: tuple[Member, ...]
    me: Session | None
    stale: Mapping[EntryId, BlobId | None]
    """Of what `me` has read, the entries that changed since; None is one that is gone."""
    contested: Mapping[str, tuple[str, ...]]
    """Key → the active facts that give it values for the same time."""
    embedder: str | None
    """The model that ranks by meaning too, where there is one."""


class Swarm:
    """One ledger, seen from one directory. A context manager; `close` releases what it holds open."""

    def __init__(
        self,
        store: Store,
        place: Place,
        cwd: str,
        env: Env | None = None,
        index: LexicalIndex | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """For those who bring a store of their own, or another search engine; others use `open`."""
        self.store = store
        self.place = place
        self.cwd = cwd
        self.env = env or Env()
        self.sessions = Sessions(place, cwd, self.env)
        self.record = Record(place.home, self.env)
        self.progress: Callable[[int, int], None] = lambda done, total: None
        """Told (done, of how many) now and then while the search index takes in much."""
        self._index: LexicalIndex | None = index
        self.embedder = embedder
        self._facts: FactIndex | None = None
        self._sketches: Sketches | None = None
        self._evidence: Evidence | None = None
        self._head: object = None
        """What told the commit that `_evidence` judges against."""
        self._use: UseIndex | None = None
        self._gates: tuple[float, bytes | None, Policy] | None = None
        """When the settings were read, what they were, and the gates that they set."""

    @classmethod
    def init(cls, path: str = ".", home: str | None = None, env: Env | None = None, *, strict: bool = False) -> Swarm:
        """Make the ledger of the repository that `path` is in, unless there is one, and open it.

        Outside a repository a git repository is made in `path` first. `home` overrides where the ledger is kept. In a
        `strict` one a fact must say what it rests on, as in one that the command `swarm init` makes.
        """
        from .beginning import begin

        env = env or Env()
        begin(path, home, env, strict)
        return cls.open(path, home, env)

    @classmethod
    def open(
        cls,
        path: str = ".",
        home: str | None = None,
        env: Env | None = None,
        *,
        embedder: Embedder | None = None,
    ) -> Swarm:
        """Open the ledger of the repository that `path` is in. Raises NotFound where there is none yet.

        With an `embedder`, such as swarm_indexes.sentences.SentenceModel, recall ranks by meaning too.
        """
        from swarm_ledger.gitstore import GitStore

        env = env or Env()
        cwd = os.path.abspath(path)
        place = require_ledger(cwd, home)
        return cls(GitStore(place.home, env), place, cwd, env, embedder=embedder)

    def join(self, name: str, role: str | None = None) -> Agent:
        """A fresh session for the agent `name`, who is the agent of this worktree from here on.

        Where another worktree has that name, the agent is called name-2, name-3 …: see `Agent.name`. An agent who
        joined here before is `Agent.replaced`; it can still act, by its name: `agent(name)`. An agent that joins
        again keeps its leases, and what still runs in its session before is fenced off them.
        """
        from .agent import Agent
        from .owning import inherit

        before = [one for one in (self.sessions.joined(), self.sessions.find(name)) if one]
        joined = self.sessions.join(name, role)
        inherit(self.store.directory, self.sessions, before, joined.session)
        self.record.add("join", joined.session, [], "done")
        return Agent(self, *joined)

    def agent(self, name: str | None = None) -> Agent | None:
        """The agent that joined in this worktree, or None; with `name`, that agent's session here, made if need be."""
        from .agent import Agent

        session = self.sessions.joined() if name is None else self.sessions.acting_as(name)
        return Agent(self, session) if session else None

    def reader(self, session: Session | None = None) -> Reader:
        """Reads for `session`, or for nobody in particular: then nothing notes what was read."""
        return Reader(self, session)

    @property
    def index(self) -> LexicalIndex:
        """The search index, opened at first use."""
        if self._index is None:
            from swarm_indexes.lexical import Fts5Index

            path = f"{self.place.home}/index/lexical.db"
            self._index = Fts5Index(path, self.store, self.env, embedder=self.embedder)
            self._index.progress = self.progress
        return self._index

    @property
    def facts(self) -> FactIndex:
        """Facts by what they cite and by key, opened at first use."""
        if self._facts is None:
            from .factindex import FactIndex

            self._facts = FactIndex(f"{self.place.home}/index/evidence.db", self.store, self.env)
        return self._facts

    @property
    def sketches(self) -> Sketches:
        """Which facts say the same, opened at first use."""
        if self._sketches is None:
            from .sketches import Sketches

            self._sketches = Sketches(f"{self.place.home}/index/sketches", self.store, self.env)
        return self._sketches

    @property
    def use(self) -> UseIndex:
        """What was of use to whom, opened at first use."""
        if self._use is None:
            from .use import UseIndex

            self._use = UseIndex(f"{self.place.home}/index/use.db", f"{self.place.home}/record", self.env)
        return self._use

    @property
    def gates(self) -> Policy:
        """What writes must pass here, as the ledger's settings say, or said a second ago."""
        now = self.env.monotonic()
        if self._gates is None or now >= self._gates[0] + _SETTINGS_S:
            from .gates import policy

            found = self.store.read("swarm.yaml")
            settings = found.text if found else None
            known = self._gates[2] if self._gates and self._gates[1] == settings else policy(settings)
            self._gates = now, settings, known
        return self._gates[2]

    @property
    def evidence(self) -> Evidence:
        """Whether the evidence for facts stands on the commit that this worktree has checked out now."""
        mark = self.place.head_mark()
        if self._evidence is None or mark != self._head:
            from .verdicts import Evidence

            if self._evidence:
                self._evidence.close()
            self._evidence, self._head = Evidence(self), mark
        return self._evidence

    def status(self, session: Session | None = None) -> Status:
        """Where the ledger is, what it holds, and what changed since `session` read it."""
        stale = Reader(self, session).stale() if session else {}
        return Status(
            self.place.ledger,
            self.store.tip(),
            self.index.counts(),
            tuple(self.sessions.members()),
            session,
            stale,
            self._contested(),
            self.embedder.name if self.embedder else None,
        )

    @property
    def rebuilt(self) -> str:
        """Why the search index, if it was used, had to be made anew: "missing", "foreign" or "damaged"; else ""."""
        return self._index.rebuilt if self._index else ""

    @property
    def use_flaw(self) -> str:
        """What of the record of use could not be read, where it was asked; "" if nothing."""
        return self._use.flaw if self._use else ""

    def _contested(self) -> dict[str, tuple[str, ...]]:
        from .verdicts import rivals

        by_key = self.facts.with_keys()
        against = rivals(by_key)
        found = {key: tuple(fact.id for fact in facts if fact.id in against) for key, facts in by_key.items()}
        return {key: ids for key, ids in sorted(found.items()) if ids}

    def close(self) -> None:
        """Release descriptors; nothing of this object can be used after."""
        for part in (self._index, self._facts, self._sketches, self._evidence, self._use):
            if part is not None:
                part.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
