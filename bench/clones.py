"""Clones of one ledger that write, sync with one remote and disagree; and the recount of what they acknowledged."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime

from swarm_ledger import logbook
from swarm_ledger.contested import AUTHOR
from swarm_ledger.entry import REMOVED, Document
from swarm_ledger.env import Env
from swarm_ledger.git import cat_blobs, environment, git
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.ids import AgentName, EntryId, id_of, log_directory, new_id, new_request, path_of, tombstone_id
from swarm_ledger.remotes import Remote
from swarm_ledger.store import Append, CommitId, Delete, Op, Put, Request
from swarm_ledger.sync import Synced, sync
from swarm_ledger.times import format_time

__all__ = ["Clones", "Count"]

_START = 1_795_255_200
_TOKEN = re.compile(rb"w[0-9]+e")
_SHARED = ("entity-service-login", "entity-service-search")
"""Pages that every clone makes for itself."""


@dataclass(frozen=True)
class Count:
    """What a fresh clone of the remote holds of what was acknowledged; `lost` says what it does not, one line each."""

    acknowledged: int
    commits: int
    merges: int
    contested: int
    lost: tuple[str, ...]
    same: bool
    """Whether all clones and the remote have one tree."""


@dataclass
class Clones:
    """`count` ledgers in `directory` and a bare remote, and a seed from which all they do follows."""

    directory: str
    seed: int
    count: int = 3
    acknowledged: list[CommitId] = field(default_factory=list)
    added: dict[bytes, str] = field(default_factory=dict)
    """Token → the entry that it was written into."""
    removed: set[bytes] = field(default_factory=set)
    """Tokens that a write took out, knowing them."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = _START
        self.remote = f"{self.directory}/remote.git"
        _run("init", "--quiet", "--bare", "--template=", self.remote)
        with open(f"{self.remote}/config", "a", encoding="utf-8") as config:
            config.write("[receive]\n\tautogc = false\n\tunpackLimit = 1\n[core]\n\tfsync = none\n")
        self.envs = [Env(rng=random.Random(f"{self.seed} {n}"), now=lambda: self.clock) for n in range(self.count)]
        self.stores: list[GitStore] = []
        for n, env in enumerate(self.envs):
            create_repository(f"{self.directory}/{n}", env)
            self.stores.append(GitStore(f"{self.directory}/{n}", env))
            self.stores[n].initialise(AUTHOR, new_request(env.rng))

    def live(self, steps: int) -> None:
        """`steps` random writes and syncs."""
        for _ in range(steps):
            self.clock += self.rng.randrange(3)
            n = self.rng.randrange(self.count)
            if self.rng.random() < 0.15:
                self.sync(n)
            else:
                self.write(n)

    def sync(self, n: int) -> Synced:
        """Clone `n` syncs."""
        return sync(self.stores[n], Remote("origin", self.remote, self.remote), f"agent-{n}", "s", self.envs[n])

    def settle(self) -> None:
        """Clones sync in a random order until one more round would change nothing."""
        order = self.rng.sample(range(self.count), self.count)
        for n in [*order, *order[:-1]]:
            self.sync(n)

    def write(self, n: int) -> None:
        """One random write in clone `n`, acknowledged or refused."""
        store, rng = self.stores[n], self.rng
        token = f"w{len(self.added) + 1}e"
        kind = rng.choice(("fact", "page", "log", "log", "title", "tag", "line", "line", "cut", "retract", "settings"))
        ops = self._new(n, kind, token) if kind in ("fact", "page", "log") else self._change(n, kind, token)
        if not ops:
            return
        at = self.clock + rng.randrange(-60, 60)  # clocks of hosts disagree
        receipt = store.submit(Request(new_request(self.envs[n].rng), f"agent-{n}", "s", at, f"{kind} {token}", ops))
        self.acknowledged.append(receipt.commit)
        for op in ops:
            new = op.text if isinstance(op, Put) else op.section if isinstance(op, Append) else b""
            base = None if isinstance(op, Append) else op.base
            old = store.blob(base) if base else b""
            self.removed |= set(_TOKEN.findall(old)) - set(_TOKEN.findall(new))
            self.added.update((found, op.entry) for found in _TOKEN.findall(new) if found not in self.added)

    def _new(self, n: int, kind: str, token: str) -> tuple[Op, ...]:
        store, env = self.stores[n], self.envs[n]
        at = _moment(self.clock)
        if kind == "log":
            # Two hosts may have an agent of the same name.
            agent = self.rng.choice((f"agent-{n}", "ada"))
            id = new_id("log", at, env.rng)
            section = logbook.section(logbook.LogEntry(id, AgentName(agent), at, token))
            return (Append(id, log_directory(agent, at.date()), logbook.header(agent, at.date()), section),)
        id = new_id("fact", at, env.rng) if kind == "fact" else EntryId(self.rng.choice(_SHARED))
        if store.read(path_of(id)):
            return ()
        fields = {"id": id, "kind": kind, "title": token, "by": f"agent-{n}", "at": format_time(at), "rev": 1}
        if kind == "page":
            fields |= {"kind": "entity", "type": "service"}
        body = "".join(f"line {line}\n" for line in range(8))
        return (Put(id, path_of(id), Document.create(fields, body).data, None),)

    def _change(self, n: int, kind: str, token: str) -> tuple[Op, ...]:
        store, rng = self.stores[n], self.rng
        if kind == "settings":
            settings = store.read("swarm.yaml")
            more = settings.text + f"note-{n}: {token}\n".encode() if settings else b""
            taken = settings is None or f"note-{n}:".encode() in settings.text
            return () if taken or settings is None else (Put("swarm.yaml", "swarm.yaml", more, settings.blob),)
        paths = [path for path, _ in store.paths() if path.startswith(("facts/", "entities/", "contested/"))]
        known = store.read(rng.choice(paths)) if paths else None
        id = id_of(known.path) if known else None
        if known is None or id is None:
            return ()
        document = Document.parse(known.text)
        fields, lines = document.fields, document.body.splitlines(keepends=True)
        if kind == "retract":
            stone = tombstone_id(id, _moment(self.clock), self.envs[n].rng)
            gone = {"id": stone, "kind": "tombstone", "by": f"agent-{n}", "at": format_time(_moment(self.clock))}
            text = Document.create({**gone, "of": id, "version": known.blob, "why": token}, "").data
            old = store.read(path_of(stone))
            buried = Put(stone, path_of(stone), text, old.blob if old else None)
            return () if old else (Delete(id, known.path, known.blob), buried)
        changes: dict[str, object] = {"rev": int(str(fields.get("rev", 1))) + 1}
        tags = fields.get("tags")
        if kind == "title":
            changes["title"] = token
        elif kind == "tag":
            changes["tags"] = [*(tags if isinstance(tags, list) else []), token]
        elif kind == "cut" and isinstance(tags, list):
            changes["tags"] = tags[1:] or REMOVED
        elif kind == "cut" and lines:
            del lines[rng.randrange(len(lines))]
        else:
            lines.insert(rng.randrange(len(lines) + 1), token + "\n")
        text = document.edit(changes, body="".join(lines)).data
        return () if text == known.text else (Put(id, known.path, text, known.blob),)

    def recount(self) -> Count:
        """Clone the remote afresh and look for every acknowledged write, with plain git."""
        fresh = f"{self.directory}/fresh.git"
        _run("clone", "--quiet", "--bare", "--no-local", "--template=", self.remote, fresh)
        parents = [line.split() for line in git(fresh, "rev-list", "--parents", "swarm-ledger").decode().splitlines()]
        commits = {one[0] for one in parents}
        listed = [line.split() for line in git(fresh, "ls-tree", "-r", "swarm-ledger").decode().splitlines()]
        held = set[bytes]()
        for text in cat_blobs(fresh, [line[2] for line in listed]):
            held |= set(_TOKEN.findall(text))
        tree = git(fresh, "rev-parse", "swarm-ledger^{tree}")
        lost = [f"commit {commit}" for commit in self.acknowledged if commit not in commits]
        lost += [f"{token.decode()} of {id}" for token, id in self.added.items() if token not in held | self.removed]
        shutil.rmtree(fresh)
        return Count(
            len(self.acknowledged),
            len(commits),
            sum(len(one) > 2 for one in parents),
            sum(line[3].startswith("contested/") for line in listed),
            tuple(lost),
            all(git(store.ledger, "rev-parse", "swarm-ledger^{tree}") == tree for store in self.stores),
        )

    def close(self) -> None:
        """Close the stores."""
        for store in self.stores:
            store.close()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _run(*arguments: str) -> None:
    subprocess.run(["git", *arguments], env=environment(), check=True, stdout=subprocess.DEVNULL)
