"""A seeded simulator of three agents on one ledger, over the shipped code: API, directory and commit path.

Everything that the code takes from the outside (clock, uptime, boot, disk, random, named points) comes from one seed.
In it agents read, own, edit, hand over and steal; others act in the middle of a commit; time passes leases by; calls
are killed in a forked child at any disk call or named point; the directory is deleted; another git commits; and at
the end the power goes, in the middle of a call or at rest, with what was not synced dropped, kept or torn. Then the
ledger is opened anew, and history is held against what was acknowledged and who had which lease at each commit.

`python -m tests.swarm.simulator 0 10000` runs ten thousand seeds; a seed that fails is named, and fails again.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from swarm.agent import Agent
from swarm.api import Swarm
from swarm.owning import Granted
from swarm_ledger import coherence
from swarm_ledger.env import Env
from swarm_ledger.errors import Conflict, Expired, Fenced, NotFound, Owned, Refused, SwarmError
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.ids import path_of
from swarm_ledger.lines import Line, overlap
from swarm_ledger.place import Place
from swarm_ledger.store import BlobId, Commit, Put
from tests.ledger.power import File, Model, Names, Recorder

NAMES = ("ada", "bob", "carl")
DOCUMENTS = ("plan-p", "plan-q")
GLOBS = ("path:src/auth/**", "path:src/auth/login.py", "path:src")
TTL = 60.0
DAY = 86_400.0
BEGAN = 1_795_258_443.0
FSYNCS = ("pack", "idx", "keep", "pack-directory", "ref-directory", "generation", "generation-directory")


class Violation(Exception):
    """What must hold does not."""


class PowerLoss(BaseException):
    """The machine stops here."""


class Disk(Recorder):
    """Records what lasts, leaves out the fsyncs named in `skip`, and loses power at a call."""

    def __init__(self, home: str, skip: frozenset[str]) -> None:
        super().__init__(home)
        self._home, self._skip = home, skip
        self.left = -1
        """Calls until the power goes."""
        self.off = False
        self.killing: Callable[[], None] = lambda: None
        self.moving: Callable[[str], None] = lambda source: None

    def rename(self, source: str, target: str) -> None:
        if target.endswith("/refs/heads/swarm-ledger"):
            self.moving(source)
        super().rename(source, target)

    def _record(self, *call: object) -> None:
        path = str(call[1])
        lasting = path.startswith((f"{self._home}/ledger.git", f"{self._home}/tmp", f"{self._home}/generation"))
        if not (lasting or path == self._home) or self.off:
            return
        if call[0] == "create" and isinstance(call[2], File) and self._kind(path) in self._skip:
            call[2].synced = False
        if call[0] != "sync" or self._kind(path) not in self._skip:
            self.calls.append(call)
        self.killing()
        self.left -= 1
        if self.left == 0:
            self.off = True
            raise PowerLoss

    def _kind(self, path: str) -> str:
        name = path.removeprefix(self._home)
        if name.startswith("/generation"):
            return "generation"
        known = {"": "generation-directory", "/ledger.git/objects/pack": "pack-directory"}
        return known.get(name) or ("ref-directory" if "/refs/" in name else name.rpartition(".")[2])


class Actor:
    """One agent, and what its context holds."""

    def __init__(self, agent: Agent, env: Env) -> None:
        self.agent, self.env = agent, env
        self.context: dict[str, BlobId] = {}


class Simulation:
    """One seed."""

    def __init__(self, seed: int, root: str, template: str, skip: frozenset[str] = frozenset()) -> None:
        self.rng = random.Random(seed)
        self.root = root
        self.home = f"{root}/home"
        shutil.copytree(template, self.home)
        self.disk = Disk(self.home, skip)
        self.now, self.up, self.boot = BEGAN, 1000.0, "one"
        self.moves = f"{root}/moves"
        self.acknowledged: list[str] = []
        self.issued: dict[str, tuple[str, str]] = {}
        """Token → whom it was issued to, and for what."""
        self.generation = 0
        self.inside = False
        self.packs = 0
        self.forked = False
        self.model = Model(f"{self.home}/ledger.git")
        self.disk.moving = self.look
        self.actors = self.open()

    def open(self) -> list[Actor]:
        """The agents, each with a store of its own, as processes have."""
        actors = []
        for n, name in enumerate(NAMES):
            env = Env(
                disk=self.disk,
                rng=random.Random(self.rng.getrandbits(64)),
                now=lambda: self.now,
                monotonic=lambda: self.up,
                sleep=self.sleep,
                uptime=lambda: self.up,
                boot=lambda: self.boot,
                point=lambda at, n=n: self.point(at, n),  # type: ignore[misc]
            )
            where = f"{self.root}/git/{name}"
            os.makedirs(where, exist_ok=True)
            place = Place(self.home, f"{self.root}/git", where, self.root)
            swarm = Swarm(GitStore(self.home, env, patience=5.0), place, self.root, env)
            actors.append(Actor(swarm.agent() or swarm.join(name), env))
        return actors

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds

    # The middle of a commit

    def point(self, at: str, n: int) -> None:
        self.disk.killing()
        if at == "taken":
            self.packs = 0
        if at == "pack-written":
            self.packs += 1
            if self.packs > 20:
                raise Violation("a batch is decided again and again")
        if at in ("taken", "pack-written", "pack-durable") and not self.inside and self.rng.random() < 0.3:
            self.inside = True
            try:
                self.meanwhile(self.rng.choice([one for m, one in enumerate(self.actors) if m != n]))
            finally:
                self.inside = False

    def look(self, lock: str) -> None:
        """Who has which lease at the moment at which the branch moves, read past the code that is tested."""
        leases: list[list[object]] = []
        generation = 0
        if os.path.exists(f"{self.home}/leases.db"):
            db = sqlite3.connect(f"{self.home}/leases.db")
            with contextlib.closing(db), contextlib.suppress(sqlite3.OperationalError):
                rows = db.execute("SELECT line, epoch, session, deadline FROM leases WHERE session IS NOT NULL")
                leases = [list(row) for row in rows]
                (generation,) = db.execute("SELECT generation FROM meta").fetchone() or (0,)
        tip = Path(lock).read_text().strip()
        with open(self.moves, "a") as file:
            file.write(json.dumps({"tip": tip, "up": self.up, "generation": generation, "leases": leases}) + "\n")

    def meanwhile(self, other: Actor) -> None:
        what = self.rng.random()
        if what < 0.25:
            if not self.forked:  # the parent would not know
                self.sleep(TTL + 1)
        elif what < 0.3:
            self.lose()
        elif what < 0.33:
            if not self.forked:
                self.foreign()
        else:
            lines = [Line(self.rng.choice(DOCUMENTS))]
            me = coherence.Holder(other.agent.session.id, other.agent.name)
            directory = other.agent._swarm.store.directory
            with contextlib.suppress(SwarmError), directory.deciding() as table:
                if what < 0.7:
                    tokens = coherence.own(table, lines, me, TTL, directory.now())
                else:
                    tokens, _ = coherence.steal(table, lines, me, TTL, directory.now())
                self.grant(me.session, [(token.line, str(token)) for token in tokens], self.generation)
                other.agent.session.hold(tokens)

    def lose(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.home}/leases.db{suffix}")

    def foreign(self) -> None:
        """Another git commits, by its own compare-and-swap."""
        git = ["git", f"--git-dir={self.home}/ledger.git", "-c", "user.name=x", "-c", "user.email=x@example.invalid"]

        def run(*arguments: str) -> str:
            at = f"{int(self.now)} +0000"
            env = {**environment(), "GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
            done = subprocess.run([*git, *arguments], capture_output=True, text=True, env=env, check=False)
            return done.stdout.strip()

        tip = run("rev-parse", "swarm-ledger")
        new = run("commit-tree", "-p", tip, "-m", "by hand", f"{tip}^{{tree}}")
        run("update-ref", "refs/heads/swarm-ledger", new, tip)
        if run("rev-parse", "swarm-ledger") == new:
            self.acknowledged.append(new)
            self.adopt()

    def adopt(self) -> None:
        """Somebody whose calls are not known wrote: what is there now counts as synced."""
        files: dict[int, File] = {}
        self.model = Model(f"{self.home}/ledger.git")
        self.model.directories.clear()
        for path in (
            *Path(f"{self.home}/ledger.git").rglob("*"),
            *Path(f"{self.home}/tmp").rglob("*"),
            Path(f"{self.home}/generation"),
        ):
            if path.is_file():
                names = self.model.directories.setdefault(str(path.parent), Names())
                names.durable[path.name] = files.setdefault(path.stat().st_ino, File(path.read_bytes(), True))
        self.disk.calls = []

    # What agents do

    def step(self) -> None:
        actor = self.rng.choice(self.actors)
        actor.env.rng.seed(self.rng.getrandbits(64))
        act = self.rng.choices(
            (self.edit, self.log, self.own, self.show, self.both, self.give_up, self.changes, self.wait, self.lose_it),
            (8, 3, 5, 3, 2, 3, 2, 2, 1),
        )[0]
        if act in (self.edit, self.log, self.own, self.show, self.both) and self.rng.random() < 0.12:
            self.killed(actor, act)
        else:
            self.allowed(actor, act)

    def allowed(self, actor: Actor, act: Callable[[Actor], None]) -> None:
        """Do it; denials are part of the story, anything else is not."""
        try:
            act(actor)
        except (Conflict, Owned, Fenced, Expired, Refused, NotFound):
            pass
        except SwarmError as error:
            raise Violation(f"{act.__name__}: {type(error).__name__}: {error}") from error

    def killed(self, actor: Actor, act: Callable[[Actor], None]) -> None:
        """Do it in a child that dies at its k-th disk call or named point, or tells what was acknowledged."""
        reader, writer = os.pipe()
        at = self.rng.randrange(1, 26)
        before = len(self.acknowledged)
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                self.forked = True
                left = [at]

                def die() -> None:
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

                self.disk.killing = die
                recorded = len(self.disk.calls)
                self.allowed(actor, act)
                issued = self.generation, self.issued
                told = (self.acknowledged[before:], actor.context, issued, self.disk.calls[recorded:])
                os.write(writer, pickle.dumps(told))
                os._exit(0)
            except BaseException:
                os._exit(1)
        os.close(writer)
        actor.env.rng.seed(self.rng.getrandbits(64))  # the child has used up those numbers
        with os.fdopen(reader, "rb") as file:
            data = file.read()
        _, status = os.waitpid(child, 0)
        if status == 1 << 8:
            raise Violation(f"{act.__name__} failed in a child")
        if data:
            acknowledged, actor.context, (self.generation, self.issued), calls = pickle.loads(data)
            self.acknowledged += acknowledged
            self.disk.calls += calls
        else:
            actor.context = {}  # it got no answer, so it reads again
            self.adopt()

    def document(self) -> str:
        return self.rng.choice(DOCUMENTS)

    def show(self, actor: Actor) -> None:
        shown = actor.agent.show(self.document())
        actor.context[shown.path] = shown.version

    def own(self, actor: Actor) -> None:
        before = self.generation  # a theft is logged before it is answered, and much may happen meanwhile
        lines = self.rng.choice(([self.document()], list(DOCUMENTS), [self.rng.choice(GLOBS)]))
        if self.rng.random() < 0.2:
            granted = [actor.agent.steal(lines[0], "it is needed", ttl=TTL)]
        else:
            granted = actor.agent.own(*lines, ttl=TTL)
        self.granted(actor, granted, before)

    def granted(self, actor: Actor, granted: list[Granted], before: int) -> None:
        self.grant(actor.agent.session.id, [(one.line, one.token) for one in granted], before)
        actor.context |= {path_of(one.line): one.version for one in granted if one.version}

    def edit(self, actor: Actor) -> None:
        text = f"text {actor.env.rng.getrandbits(64)}\n"
        written = actor.agent.edit(self.document(), text, release=self.rng.random() < 0.2)
        self.acknowledged.append(str(written.commit))
        assert written.version is not None
        actor.context[written.path] = written.version

    def both(self, actor: Actor) -> None:
        """Two documents in one request."""
        ops = []
        for id in DOCUMENTS:
            path = path_of(id)
            base = actor.agent.session.last(path)
            if base is None:
                return
            text = actor.agent._swarm.store.blob(base) + b"and %x\n" % actor.env.rng.getrandbits(64)
            ops.append(Put(id, path, text, base))
        self.acknowledged.append(actor.agent.commit("both", ops).commit)
        actor.context |= {op.path: actor.agent.session.seen()[op.path] for op in ops}

    def log(self, actor: Actor) -> None:
        self.acknowledged.append(str(actor.agent.log(f"note {actor.env.rng.getrandbits(64)}").commit))

    def give_up(self, actor: Actor) -> None:
        if self.rng.random() < 0.3:
            actor.agent.handoff(self.document(), self.rng.choice([name for name in NAMES if name != actor.agent.name]))
        else:
            actor.agent.release()

    def changes(self, actor: Actor) -> None:
        for one in actor.agent.changes():
            if one.whole and one.version:
                actor.context[path_of(one.id)] = one.version

    def wait(self, _: Actor) -> None:
        self.sleep(self.rng.choice((1.0, TTL / 2, TTL + 1)))

    def lose_it(self, _: Actor) -> None:
        if self.rng.random() < 0.3:
            self.lose()

    def grant(self, session: str, tokens: list[tuple[Line, str]], after: int) -> None:
        """No token is issued twice, and generations are never below that which was `after` the last grant: I3."""
        for line, text in tokens:
            generation = int(text.partition(".")[0])
            if generation < after or self.issued.setdefault(text, (session, line)) != (session, line):
                raise Violation(f"I3: token {text} of {line} is issued after {after} and {self.issued}")
            self.generation = max(self.generation, generation)

    # What must hold

    def told(self) -> None:
        """I4: whose context holds an old version is told so."""
        for actor in self.actors:
            stale = {path_of(id) for id in actor.agent.stale()}
            for path, version in actor.context.items():
                now = actor.agent._swarm.store.read(path)
                if (now is None or now.blob != version) and path not in stale:
                    raise Violation(f"I4: {actor.agent.name} is not told that {path} changed")

    def history(self) -> None:
        """I1, I1b, I2, I3, I5, I6, I7: from history, and from who had which lease when the branch moved."""
        moves = {}
        if os.path.exists(self.moves):
            moves = {move["tip"]: move for move in map(json.loads, Path(self.moves).read_text().splitlines())}
        commits = list(self.actors[0].agent._swarm.store.history())[::-1]
        lost = set(self.acknowledged) - {commit.id for commit in commits}
        if lost:
            raise Violation(f"I5: {sorted(lost)} were acknowledged, and are gone")
        now: dict[str, str] = {}
        requests: set[str] = set()
        fences: dict[str, tuple[int, int]] = {}
        batch: list[Commit] = []
        for commit in commits:
            trailers = dict(commit.trailers)
            request = trailers.get("Request", commit.id)
            if request in requests:
                raise Violation(f"I6: request {request} is in history twice")
            requests.add(request)
            values = [value for name, value in commit.trailers if name in ("Entry", "Base")]
            named = {entry: base for entry, base in zip(values[::2], values[1::2], strict=True) if base != "append"}
            for entry, base in named.items():
                if base != now.get(path_of(entry) if entry != "swarm.yaml" else entry, "none"):
                    raise Violation(f"I2: {commit.id} replaces {base} of {entry}, which is not what was there")
            if named and {path_of(e) if e != "swarm.yaml" else e for e in named} - {path for path, _ in commit.changed}:
                raise Violation(f"I7: {commit.id} does not write all that it names")
            for fence in (value for name, value in commit.trailers if name == "Fence"):
                line, _, token = fence.partition(" ")
                generation, epoch = map(int, token.split("."))
                if (generation, epoch) < fences.get(line, (0, 0)):
                    raise Violation(f"I3: {commit.id} shows {token} for {line} after {fences[line]}")
                fences[line] = generation, epoch
            now |= {path: version or "none" for path, version in commit.changed}
            batch.append(commit)
            if commit.id in moves:
                for one in batch:
                    self.respected(one, moves[commit.id])
                batch = []

    @staticmethod
    def respected(commit: Commit, move: dict[str, object]) -> None:
        leases = move["leases"]
        up = move["up"]
        assert isinstance(leases, list) and isinstance(up, float)
        session = dict(commit.trailers).get("Session")
        values = [value for name, value in commit.trailers if name in ("Entry", "Base")]
        changed = [e for e, base in zip(values[::2], values[1::2], strict=True) if base not in ("append", "none")]
        for line, _, owner, deadline in leases:
            if line in changed and owner != session and deadline > up:
                raise Violation(f"I1b: {commit.id} changes {line} beside the live lease of another")
        for fence in (value for name, value in commit.trailers if name == "Fence"):
            current = [f"{line} {move['generation']}.{epoch}" for line, epoch, owner, _ in leases if owner == session]
            if fence not in current:
                raise Violation(f"I1: {commit.id} lands under {fence}, which is not current")
        live = [(Line(line), owner) for line, _, owner, deadline in leases if deadline > up]
        if any(a != b and overlap(x, y) for x, a in live for y, b in live):
            raise Violation(f"I1: two sessions own lines that meet: {live}")

    def claimable(self) -> None:
        """I8: with all others silent for a lease's time, whoever wants a line gets it."""
        self.sleep(TTL + 1)
        actor = self.rng.choice(self.actors)
        try:
            self.granted(actor, actor.agent.own(*DOCUMENTS, GLOBS[2], ttl=TTL), self.generation)
        except SwarmError as error:
            raise Violation(f"I8: {error}") from error

    # The end

    def lose_power(self) -> None:
        """The machine stops, in the middle of a write or at rest; what is on its disk is opened anew."""
        actor = self.rng.choice(self.actors)
        self.disk.left = self.rng.randrange(1, 14)
        for act in self.rng.choices((self.log, self.edit, self.own), k=2):
            try:
                self.allowed(actor, act)
            except PowerLoss:
                break
        self.close()
        self.disk.off = True
        for call in self.disk.calls:
            self.model.apply(call)
        files = self.model.crash(self.rng.choice(("dropped", "kept", "mixed")), self.rng)
        old, self.home = self.home, f"{self.root}/after"
        for name in ("objects/pack", "objects/info", "refs/heads", "refs/tags"):
            os.makedirs(f"{self.home}/ledger.git/{name}")
        first: dict[int, str] = {}
        for path, (inode, data) in files.items():
            target = self.home + path.removeprefix(old)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if inode in first:
                os.link(first[inode], target)
            else:
                Path(target).write_bytes(data)
                first[inode] = target
        for name in ("sessions", "worktrees", "names"):
            shutil.copytree(f"{old}/{name}", f"{self.home}/{name}")
        for name in os.listdir(f"{self.home}/sessions"):
            if not name.endswith(".json"):
                path = f"{self.home}/sessions/{name}"
                os.truncate(path, self.rng.randrange(os.path.getsize(path) + 1))
        for name in ("leases.db", "state.db"):
            if self.rng.random() < 0.4:
                for suffix in ("", "-wal"):
                    if os.path.exists(f"{old}/{name}{suffix}"):
                        shutil.copy(f"{old}/{name}{suffix}", f"{self.home}/{name}{suffix}")
        self.now -= DAY if self.rng.random() < 0.3 else 0.0
        self.up, self.boot = 5.0, "two"
        self.actors = self.open()
        for _ in range(3):
            self.step_after()

    def step_after(self) -> None:
        actor = self.rng.choice(self.actors)
        actor.env.rng.seed(self.rng.getrandbits(64))
        self.allowed(actor, self.rng.choice((self.edit, self.own, self.show, self.log)))

    def close(self) -> None:
        for actor in self.actors:
            actor.agent._swarm.close()

    def run(self) -> None:
        """The whole story. Raises Violation."""
        try:
            for _ in range(self.rng.randrange(6, 14)):
                self.step()
            self.told()
            if self.rng.random() < 0.5:
                self.lose_power()
            self.claimable()
            self.told()
            self.history()
        finally:
            self.close()


def make_template(path: str) -> str:
    """A ledger with two plans in it, to begin from."""
    create_repository(path, Env())
    store = GitStore(path)
    store.initialise("swarm", "begin")
    with Swarm(store, Place(path), path) as swarm:
        for id in DOCUMENTS:
            title = id.removeprefix("plan-")
            swarm.sessions.acting_as("setup")
            agent = swarm.agent("setup")
            assert agent is not None
            agent.remember(title, f"{title}\n" * 3, kind="plan")
    for name in ("sessions", "worktrees", "names", "queue", "record"):
        shutil.rmtree(f"{path}/{name}", ignore_errors=True)
    return path


def run_seed(seed: int, template: str, skip: frozenset[str] = frozenset()) -> str | None:
    """What went wrong in `seed`, or None."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(template)) as root:
        try:
            Simulation(seed, root, template, skip).run()
        except Violation as violation:
            return str(violation)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


@contextlib.contextmanager
def templates() -> Iterator[str]:
    """A template in memory where there is a file system for that."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as root:
        yield make_template(f"{root}/template")


def run_many(first: int, last: int, workers: int = 2) -> dict[int, str]:
    """The seeds that failed, of `first` up to but not `last`, with what went wrong."""
    with templates() as template, multiprocessing.Pool(workers) as pool:
        found = pool.imap_unordered(_one, ((seed, template) for seed in range(first, last)), chunksize=20)
        return {seed: wrong for seed, wrong in found if wrong}


def _one(task: tuple[int, str]) -> tuple[int, str | None]:
    return task[0], run_seed(*task)


if __name__ == "__main__":
    began = time.monotonic()
    failed = run_many(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 2)
    for number, what in sorted(failed.items()):
        print(f"seed {number}: {what}")
    print(f"{int(sys.argv[2]) - int(sys.argv[1])} seeds, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))
