"""Clones that sync through a remote hold the same tree and every acknowledged write, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.clones import Clones
from swarm_ledger.env import Env
from swarm_ledger.errors import NewerFormat, Refused, Unreachable
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.objects import blob_id
from swarm_ledger.remotes import Remote, find_remote
from swarm_ledger.store import Delete, Op, Put, Request
from swarm_ledger.sync import Synced, sync
from tests.children import exiting

from .test_crash import HAMMER

SYNCER = str(Path(__file__).with_name("syncer.py"))
BRANCH = "refs/heads/swarm-ledger"
PLACE = "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"
FACT = (
    b"---\nid: fact-261121-7k3q9m2x\nkind: fact\ntitle: T\nby: ada\nat: 2026-11-21T10:54:03Z\n---\n\none\ntwo\nthree\n"
)

Make = Callable[..., Request]


def run_git(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, env=environment(), check=True)
    return done.stdout.decode().strip()


class Host:
    """A ledger of its own that syncs with one remote."""

    def __init__(self, place: Path, url: str, make_request: Make) -> None:
        self.home, self.url, self._make = str(place), url, make_request
        create_repository(self.home, Env())
        self.store = GitStore(self.home)
        self.store.initialise("swarm", f"begin{place.name}")

    def put(self, path: str, text: bytes, base: bytes | None = None) -> None:
        self.store.submit(self._make(Put("e", path, text, blob_id(base) if base is not None else None)))

    def submit(self, *ops: Op) -> None:
        self.store.submit(self._make(*ops))

    def sync(self, env: Env | None = None, url: str | None = None) -> Synced:
        place = url or self.url
        return sync(self.store, Remote("origin", place, place), "ada", "s1", env, patience=20)

    def text(self, path: str) -> bytes | None:
        found = self.store.read(path)
        return found.text if found else None

    @property
    def tree(self) -> str:
        return run_git(f"--git-dir={self.store.ledger}", "rev-parse", "swarm-ledger^{tree}")


Hosts = Callable[[str], Host]


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """An empty bare repository."""
    run_git("init", "--quiet", "--bare", str(tmp_path / "remote.git"))
    return str(tmp_path / "remote.git")


@pytest.fixture
def host(tmp_path: Path, remote: str, make_request: Make) -> Iterator[Hosts]:
    """Makes a host of a name."""
    made: list[Host] = []

    def make(name: str) -> Host:
        made.append(Host(tmp_path / name, remote, make_request))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def tip_of(remote: str) -> str:
    return run_git(f"--git-dir={remote}", "rev-parse", BRANCH)


def test_the_first_sync_of_a_clone_finds_the_branch(host: Hosts, remote: str) -> None:
    """Two ledgers that began on their own, one with its settings only, have one history after a sync each."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    assert a.sync().sent == 2
    done = b.sync()
    assert (done.received, done.tip, b.text(PLACE)) == (2, tip_of(remote), FACT)
    assert a.sync().tip == done.tip
    assert a.tree == b.tree
    assert (
        run_git(f"--git-dir={remote}", "log", "-1", "--format=%an %(trailers:key=Agent,valueonly)", BRANCH) == "ada ada"
    )


def test_a_fast_forward_makes_no_commit(host: Hosts, remote: str) -> None:
    """Who has nothing of their own takes the remote's tip, and who is ahead pushes theirs."""
    a, b = host("a"), host("b")
    a.sync()
    b.sync()
    a.sync()
    a.put(PLACE, FACT)
    tip = a.store.tip()
    sent = a.sync()
    assert (sent.tip, sent.sent, sent.received, sent.merge) == (tip, 1, 0, None)
    received = b.sync()
    assert (received.tip, received.sent, received.received, received.merge) == (tip, 0, 1, None)
    again = b.sync()
    assert (again.tip, again.sent, again.received, again.merge) == (tip, 0, 0, None)


def test_a_merge_commit_has_both_parents_and_says_who_merged(host: Hosts) -> None:
    """The first parent is ours, so that history reads as this clone saw it."""
    a, b = host("a"), host("b")
    a.sync()
    ours, theirs = b.store.tip(), a.store.tip()
    done = b.sync()
    (merge,) = [commit for commit in b.store.history() if commit.id == done.merge]
    assert merge.parents == (ours, theirs)
    assert [name for name, _ in merge.trailers] == ["Agent", "Session", "Request", "Merge"]
    assert dict(merge.trailers)["Merge"] == theirs
    assert (merge.author, merge.subject) == ("ada", "Merge origin: 1 of theirs, 1 of ours")


def test_edits_of_one_entry_are_merged_or_contested(host: Hosts) -> None:
    """Different lines are both kept; of the same line one stands, and the other is in a contested entry everywhere."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    b.sync()
    a.sync()
    a.put(PLACE, FACT.replace(b"one", b"ONE"), FACT)
    b.put(PLACE, FACT.replace(b"three", b"THREE"), FACT)
    a.sync()
    assert b.sync().contested == ()
    both = FACT.replace(b"one", b"ONE").replace(b"three", b"THREE")
    assert b.text(PLACE) == both
    a.sync()
    a.put(PLACE, both.replace(b"two", b"2"), both)
    b.put(PLACE, both.replace(b"two", b"zwei"), both)
    a.sync()
    (contested,) = b.sync().contested
    a.sync()
    assert a.tree == b.tree
    kept = b.text(PLACE)
    entry = b.text(f"contested/2025/11/21/{contested[-8]}/{contested}.md")
    assert kept is not None and entry is not None
    assert {b"\n2\n" in kept, b"\nzwei\n" in kept} == {True, False}
    assert (b"\nzwei\n" if b"\n2\n" in kept else b"\n2\n") in entry


def test_history_of_an_entry_crosses_merges(host: Hosts) -> None:
    """Who wrote is told, not who merged."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    b.sync()
    b.put(PLACE, FACT + b"four\n", FACT)
    assert [commit.subject for commit in b.store.history(PLACE)] == ["a write", "a write"]
    assert len(list(b.store.history(PLACE, limit=1))) == 1
    assert [commit.subject for commit in b.store.history()][1].startswith("Merge origin")


@pytest.mark.parametrize("seed", range(8))
def test_random_histories_converge(tmp_path: Path, seed: int) -> None:
    """Three clones write and sync at random: in the end one tree, and a fresh clone of the remote has every write."""
    clones = Clones(str(tmp_path), seed)
    clones.live(40)
    clones.settle()
    count = clones.recount()
    clones.close()
    assert count.same
    assert count.lost == ()
    assert count.acknowledged > 10


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_500_random_histories_converge(tmp_path: Path) -> None:
    """The same for 500 seeds."""
    for seed in range(1000, 1500):
        place = tmp_path / str(seed)
        place.mkdir()
        test_random_histories_converge(place, seed)


def test_criss_cross_by_two_remotes(tmp_path: Path, host: Hosts, remote: str) -> None:
    """Two hosts merge each other's work in both directions at once, and then each other's merges: the same tree."""
    other = str(tmp_path / "other.git")
    run_git("init", "--quiet", "--bare", other)
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    b.sync()
    a.sync()
    a.put(PLACE, FACT.replace(b"two", b"2"), FACT)
    b.put(PLACE, FACT.replace(b"two", b"zwei"), FACT)
    run_git(f"--git-dir={a.store.ledger}", "push", "--quiet", other, BRANCH)
    run_git(f"--git-dir={b.store.ledger}", "push", "--quiet", remote, BRANCH)
    place = Remote("other", other, other)
    sync(b.store, place, "b", "s", Env())  # b merges a's, while
    a.sync()  # a merges b's
    assert a.store.tip() != b.store.tip()
    assert a.tree == b.tree
    a.put(PLACE, (a.text(PLACE) or b"") + b"four\n", a.text(PLACE))
    b.put(PLACE, (b.text(PLACE) or b"").replace(b"one", b"ONE"), b.text(PLACE))
    a.sync()
    b.sync()
    a.sync()
    assert a.tree == b.tree
    text = a.text(PLACE) or b""
    assert b"ONE\n" in text and text.endswith(b"four\n")
    assert len([path for path, _ in a.store.paths("contested/")]) == 1


def test_a_ledger_that_began_apart_is_not_taken_for_older(host: Hosts) -> None:
    """What a third host wrote before it first synced is no ancestor of what two others have in common."""
    a, b, c = host("a"), host("b"), host("c")
    settings = a.text("swarm.yaml") or b""
    a.sync()
    a.put("swarm.yaml", settings + b"rooms: a\n", settings)
    c.put("swarm.yaml", settings + b"theme: c\n", settings)
    b.sync()
    c.sync()
    a.sync()
    both = (settings + b"rooms: a\ntheme: c\n", settings + b"theme: c\nrooms: a\n")  # the later first
    assert a.text("swarm.yaml") in both


def test_a_retraction_stands_against_an_edit(host: Hosts) -> None:
    """The edit is in a contested entry, and the retracted entry stays away."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    b.sync()
    a.sync()
    stone = b"---\nid: tombstone-261121-7k3q9m2x\nkind: tombstone\nby: ada\nat: 2026-11-21T11:00:00Z\n---\n"
    where = "tombstones/2026/11/21/7/tombstone-261121-7k3q9m2x.md"
    a.submit(Delete("e", PLACE, blob_id(FACT)), Put("t", where, stone, None))
    b.put(PLACE, FACT + b"precious\n", FACT)
    b.sync()
    (contested,) = a.sync().contested
    b.sync()
    assert a.tree == b.tree
    assert a.text(PLACE) is None
    assert b"precious" in (a.text(f"contested/2025/11/21/{contested[-8]}/{contested}.md") or b"")


def test_another_that_pushes_first_is_merged_and_the_push_repeated(host: Hosts) -> None:
    """The push that comes second is refused by the remote, never forced."""
    a, b = host("a"), host("b")
    a.sync()
    b.sync()
    a.sync()
    b.put("facts/b.md", b"b")
    raced: list[str] = []

    def point(at: str) -> None:
        if at == "fetched" and not raced:
            a.put("facts/a.md", b"a")
            a.sync()
        if at == "sync-raced":
            raced.append(at)

    assert b.sync(Env(point=point)).merge is not None
    assert raced == ["sync-raced"]
    a.sync()
    assert (b.text("facts/a.md"), a.text("facts/b.md"), a.tree) == (b"a", b"b", b.tree)


def test_writes_go_on_while_a_sync_is_at_work(host: Hosts) -> None:
    """A write that lands between the merge's making and its landing is in the merge."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    b.sync()
    a.sync()
    a.put(PLACE, FACT.replace(b"one", b"ONE"), FACT)
    a.sync()

    def point(at: str) -> None:
        if at == "merge-ready":
            b.put(PLACE, FACT.replace(b"three", b"THREE"), FACT)

    b.sync(Env(point=point))
    assert b.text(PLACE) == FACT.replace(b"one", b"ONE").replace(b"three", b"THREE")


POINTS = (
    *("fetched", "merge-ready", "leading", "pack-written", "pack-renamed", "pack-durable", "ref-locked", "ref-moved"),
    *("before-state-commit", "merged-here", "pushed"),
)
MERGING = ("pack-written", "pack-renamed", "pack-durable", "pushed")
"""Points that a fast-forward does not come by: it writes no pack and pushes nothing."""


@pytest.mark.parametrize(
    ("at", "fast"), [(at, fast) for at in POINTS for fast in (False, True) if not (fast and at in MERGING)]
)
def test_a_sync_killed_at_a_point_is_finished_by_the_next(host: Hosts, at: str, fast: bool) -> None:
    """The ledger works at once, the next sync goes on, and everything is there once."""
    a, b = host("a"), host("b")
    a.sync()
    b.sync()
    a.sync()
    a.put("facts/a.md", b"a")
    a.sync()
    if not fast:
        b.put("facts/b.md", b"b")
    b.store.close()
    child = os.fork()
    if child == 0:
        with exiting():
            env = Env(point=lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == at else None)
            sync(GitStore(b.home, env), Remote("origin", b.url, b.url), "ada", "s1", env)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    b.store = GitStore(b.home)
    started = time.monotonic()
    b.put("facts/later.md", b"later")
    assert time.monotonic() - started < 1.0
    b.sync()
    a.sync()
    assert a.tree == b.tree
    assert [path for path, _ in a.store.paths("facts/")] == (
        ["facts/a.md", "facts/later.md"] if fast else ["facts/a.md", "facts/b.md", "facts/later.md"]
    )
    assert b.store.doctor() == []


def test_writers_and_syncers_killed_anywhere_lose_nothing(tmp_path: Path, make_request: Make) -> None:
    """Three clones, a writer and a syncer each, killed over and over: in the end one tree with all acknowledged."""
    crash(tmp_path, make_request, 8)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_minute_of_killing_syncs_loses_nothing(tmp_path: Path, make_request: Make) -> None:
    """The same for 60 seconds."""
    crash(tmp_path, make_request, 60)


def crash(base: Path, make_request: Make, seconds: float) -> None:
    url = str(base / "remote.git")
    run_git("init", "--quiet", "--bare", url)
    hosts = [Host(base / name / "swarm", url, make_request) for name in ("a", "b", "c")]
    commands = [[sys.executable, HAMMER, one.home, "ada", str(seconds * 2), "0.005"] for one in hosts]
    commands += [[sys.executable, SYNCER, one.home, url, str(seconds * 2), "0.02"] for one in hosts]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = []
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        time.sleep(0.25)
        running[turn % len(running)].kill()
        turn += 1
        for n, process in enumerate(running):
            if process.poll() is not None:
                said = process.communicate()[1].decode()
                if process.returncode != -signal.SIGKILL:
                    errors.append(said)
                running[n] = subprocess.Popen(commands[n], stderr=subprocess.PIPE)
    for process in running:
        process.kill()
        process.communicate()
    for one in (*hosts, *hosts[:-1]):
        one.sync()
    assert errors == []
    assert len({one.tree for one in hosts}) == 1
    run_git("clone", "--quiet", "--branch", "swarm-ledger", url, str(base / "fresh"))
    log = "".join(path.read_text() for path in (base / "fresh" / "log").rglob("*.md"))
    requests = run_git("-C", str(base / "fresh"), "log", "--format=%(trailers:key=Request,valueonly)").split()
    acks = [line.split() for path in base.glob("*/acks/*") for line in path.read_text().splitlines()]
    acks = [ack for ack in acks if len(ack) == 4]
    assert len(acks) > 20
    for request, path, blob, note in acks:
        assert blob_id((base / "fresh" / path).read_bytes()) == blob
        assert log.count(f"## 10:54:03 {note}\n") == 1
        assert requests.count(request) == 1
    assert "merge-ready" in "".join(path.read_text() for path in base.glob("*/points")) or seconds < 20
    for one in hosts:
        assert run_git(f"--git-dir={one.store.ledger}", "fsck", "--full", "--strict", "--no-dangling") == ""
        one.store.close()


def test_a_remote_that_was_moved_back_is_refused(host: Hosts, remote: str) -> None:
    """Both tips are named and what to do; nothing is merged or pushed. What to do works."""
    a = host("a")
    a.sync()
    first = tip_of(remote)
    a.put(PLACE, FACT)
    a.sync()
    second = tip_of(remote)
    run_git(f"--git-dir={remote}", "update-ref", BRANCH, first)
    with pytest.raises(Refused, match=f"was at {second}, and is at {first}.*Nothing was merged or pushed") as refused:
        a.sync()
    assert refused.value.rule == "history"
    assert (tip_of(remote), a.store.tip()) == (first, second)
    run_git(f"--git-dir={a.store.ledger}", "update-ref", "-d", "refs/remotes/origin/swarm-ledger")
    assert a.sync().tip == tip_of(remote) == second


def test_a_remote_with_another_history_is_refused(host: Hosts, remote: str) -> None:
    """A branch that was replaced by an unrelated one is not merged unasked."""
    a, b = host("a"), host("b")
    a.sync()
    run_git(f"--git-dir={b.store.ledger}", "push", "--quiet", "--force", remote, BRANCH)
    with pytest.raises(Refused, match="lost history"):
        a.sync()


def test_a_branch_that_is_gone_from_the_remote_is_not_made_again(host: Hosts, remote: str) -> None:
    """Somebody deleted it, perhaps on purpose."""
    a = host("a")
    tip = a.sync().tip
    run_git(f"--git-dir={remote}", "update-ref", "-d", BRANCH)
    with pytest.raises(Refused, match=f"had the branch swarm-ledger at {tip}, and has none now"):
        a.sync()


def test_a_remote_that_cannot_be_reached_is_an_error_of_sync_alone(host: Hosts, remote: str) -> None:
    """One clear line and one of advice; writing goes on."""
    a = host("a")
    with pytest.raises(Unreachable) as error:
        a.sync(url=remote + "-not-there")
    first, second = str(error.value).splitlines()
    assert first.endswith(f"fatal: '{remote}-not-there' does not appear to be a git repository")
    assert second.startswith("Only syncing needs it, and nothing is lost")
    a.put(PLACE, FACT)
    assert a.text(PLACE) == FACT


def test_a_host_that_is_down_is_an_error_of_sync_alone(host: Hosts) -> None:
    """Nobody listens on that port."""
    with pytest.raises(Unreachable, match=r"cannot be synced with: fatal: .*127\.0\.0\.1"):
        host("a").sync(url="git://user:secret@127.0.0.1:9/ledger.git")


def test_a_remote_that_declines_the_push_is_named(host: Hosts, remote: str) -> None:
    """A protected branch: what its hook says is shown."""
    hook = Path(remote, "hooks", "pre-receive")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Unreachable, match=r"took no push to swarm-ledger: .*pre-receive hook declined.*\(protected\)"):
        host("a").sync()


def test_a_shallow_ledger_says_what_it_needs(tmp_path: Path, host: Hosts, remote: str) -> None:
    """Merging needs the whole history: of the ledger, and of the remote."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    shallow = str(tmp_path / "shallow.git")
    run_git("clone", "--quiet", "--bare", "--depth=1", "--branch=swarm-ledger", f"file://{remote}", shallow)
    with pytest.raises(Refused, match=r"is a shallow clone(.|\n)*unshallow"):
        b.sync(url=shallow)
    Path(b.store.ledger, "shallow").write_text(f"{b.store.tip()}\n")
    with pytest.raises(Refused, match="swarm git fetch --unshallow"):
        b.sync()


def test_a_newer_format_is_left_alone(host: Hosts) -> None:
    """Nothing of a ledger that a newer program wrote is taken in."""
    a, b = host("a"), host("b")
    settings = a.text("swarm.yaml") or b""
    a.put("swarm.yaml", settings.replace(b"format: 1", b"format: 2"), settings)
    run_git(f"--git-dir={a.store.ledger}", "push", "--quiet", a.url, BRANCH)
    before = b.store.tip()
    with pytest.raises(NewerFormat, match="upgrade to sync"):
        b.sync()
    assert b.store.tip() == before


def test_links_and_odd_paths_are_not_taken_in(host: Hosts, remote: str) -> None:
    """A symbolic link in the branch would let a file be read or written outside the ledger."""
    a = host("a")
    a.sync()
    blob = run_git(f"--git-dir={remote}", "hash-object", "-w", "--stdin", stdin=b"/etc/passwd")
    tree = run_git(f"--git-dir={remote}", "mktree", stdin=f"120000 blob {blob}\tlink.md\n".encode())
    tip = tip_of(remote)
    name = ("-c", "user.name=x", "-c", "user.email=x")
    commit = run_git(f"--git-dir={remote}", *name, "commit-tree", tree, "-p", tip, "-m", "x")
    run_git(f"--git-dir={remote}", "update-ref", BRANCH, commit)
    with pytest.raises(Refused, match=r"'link\.md' is no plain file"):
        a.sync()
    assert a.store.tip() == tip


def test_a_file_and_a_directory_of_one_name_are_not_merged(host: Hosts) -> None:
    """No tree can hold both; both are named, and both hosts keep what they have."""
    a, b = host("a"), host("b")
    a.sync()
    b.sync()
    a.sync()
    a.put("facts/x", b"file")
    b.put("facts/x/y.md", b"below")
    a.sync()
    with pytest.raises(Refused, match="facts/x is a file on one side and a directory on the other"):
        b.sync()
    b.put("facts/z.md", b"writing goes on")


def test_another_gits_merge_counts_as_what_its_maker_decided(tmp_path: Path, host: Hosts, remote: str) -> None:
    """Somebody merged the branch by hand; what they chose is taken as written by them, knowing both sides."""
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    b.sync()
    a.sync()
    work = str(tmp_path / "work")
    run_git("clone", "--quiet", "--branch", "swarm-ledger", remote, work)
    name = ("-C", work, "-c", "user.name=hand", "-c", "user.email=h")
    run_git(*name, "checkout", "--quiet", "-b", "side")
    Path(work, PLACE).write_bytes(FACT.replace(b"two", b"side"))
    run_git(*name, "commit", "--quiet", "-am", "side")
    run_git(*name, "checkout", "--quiet", "swarm-ledger")
    Path(work, PLACE).write_bytes(FACT.replace(b"two", b"main"))
    run_git(*name, "commit", "--quiet", "-am", "main")
    run_git(*name, "merge", "--quiet", "-X", "theirs", "-m", "by hand", "side")
    run_git("-C", work, "push", "--quiet", "origin", "swarm-ledger")
    b.put(PLACE, FACT + b"four\n", FACT)
    assert b.sync().contested == ()
    assert b.text(PLACE) == FACT.replace(b"two", b"side") + b"four\n"


def test_a_clone_that_is_shallow_or_partial_syncs(tmp_path: Path, host: Hosts, remote: str) -> None:
    """The ledger is fetched on its own, whole, however little the user's clone holds of the code."""
    work = str(tmp_path / "work")
    run_git("init", "--quiet", work)
    name = ("-C", work, "-c", "user.name=x", "-c", "user.email=x")
    for number in range(3):
        run_git(*name, "commit", "--quiet", "--allow-empty", "-m", str(number))
    run_git("-C", work, "push", "--quiet", remote, "HEAD:refs/heads/main")
    a, b = host("a"), host("b")
    a.put(PLACE, FACT)
    a.sync()
    code = str(tmp_path / "partial")
    run_git("clone", "--quiet", "--depth=1", "--filter=blob:none", "--branch=main", f"file://{remote}", code)
    found = find_remote(f"{code}/.git", None, code)
    with contextlib.closing(b.store):
        sync(b.store, found, "b", "s")
        assert b.text(PLACE) == FACT
