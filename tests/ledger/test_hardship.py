"""What else may befall a ledger: a cache that lies, interrupts, rubbish in the queue, forks, foreign commits."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_ledger.env import Env
from swarm_ledger.errors import NewerFormat, Refused
from swarm_ledger.git import environment
from swarm_ledger.gitstore import GitStore
from swarm_ledger.store import Append, Put, Request, Store
from tests.children import exiting

Make = Callable[..., Request]
POINTS = [
    "leading",
    "taken",
    "pack-written",
    "pack-durable",
    "ref-locked",
    "ref-moved",
    "before-state-commit",
    "answered",
]


def note(text: str, agent: str = "ada") -> Append:
    section = f"## 10:54:03 log-261121-{text:a>8}\n\n{text}\n\n".encode()
    return Append(f"log-261121-{text:a>8}", f"log/2026/11/21/{agent}/", b"---\nkind: log\n---\n\n", section)


def notes(store: Store, agent: str = "ada") -> int:
    return sum(
        store.read(path).text.count(b"## 10:54:03")  # type: ignore[union-attr]
        for path, _ in store.paths(f"log/2026/11/21/{agent}/")
    )


@pytest.mark.parametrize(
    "lie",
    [
        "DELETE FROM files WHERE path LIKE 'log/%'",
        "UPDATE files SET text = x'' WHERE path LIKE 'log/%'",
        "DELETE FROM trees WHERE dir = 'facts'",
        "DELETE FROM trees WHERE dir = ''",
        "UPDATE trees SET raw = x'' WHERE dir = 'facts'",
        "UPDATE meta SET value = x'00' WHERE key = 'head'",
        "DELETE FROM meta WHERE key = 'head'",
        "DROP TABLE trees",
    ],
)
def test_a_cache_that_lies_loses_nothing(home: str, make_request: Make, lie: str) -> None:
    """Whatever row is wrong or gone, the next write checks by name, builds the cache anew and keeps everything."""
    with contextlib.closing(GitStore(home)) as store:
        store.submit(make_request(*(Put("a", f"facts/{n}.md", b"%d" % n, None) for n in range(5)), note("first")))
    with sqlite3.connect(f"{home}/state.db") as db:
        db.execute(lie)
    db.close()
    with contextlib.closing(GitStore(home)) as store:
        store.submit(make_request(note("second")))
        store.submit(make_request(Put("a", "facts/9.md", b"9", None)))
        assert notes(store) == 2
        assert len(list(store.paths("facts/"))) == 6
        assert store.doctor() == []


def test_a_cache_deleted_under_writers_loses_nothing(home: str) -> None:
    """Six processes write while the cache's files are deleted and replaced: every acknowledged write is there once."""
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            with exiting():
                store = GitStore(home)
                for turn in range(60):
                    store.submit(
                        Request(f"w{number}x{turn}", f"w{number}", "s", 1, "w", (note(f"{turn}", f"w{number}"),))
                    )
        children.append(child)
    end = time.monotonic() + 20
    running = set(children)
    while running and time.monotonic() < end:
        for suffix in ("-shm", "-wal", ""):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{home}/state.db{suffix}")
        time.sleep(0.1)
        for child in list(running):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                running.discard(child)
                assert status in (0, 256)  # 256: refused with "nothing was written", which is no acknowledgement
    for child in running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with contextlib.closing(GitStore(home)) as store:
        written = [dict(c.trailers)["Request"] for c in store.history()][:-1]
        assert len(written) == len(set(written))
        assert sum(notes(store, f"w{number}") for number in range(6)) == len(written)
        assert store.doctor(fix=True) is not None
        assert store.doctor() == []


@pytest.mark.parametrize("point", POINTS)
def test_an_interrupt_anywhere_leaves_a_ledger_that_works(home: str, make_request: Make, point: str) -> None:
    """An exception out of the middle of a commit: the same process and others go on, history is right."""

    def interrupt(at: str) -> None:
        if at == point and not done:
            done.append(at)
            raise KeyboardInterrupt

    done: list[str] = []
    with contextlib.closing(GitStore(home, Env(point=interrupt))) as store:
        with pytest.raises(KeyboardInterrupt):
            store.submit(make_request(note("first"), id="first"))
        started = time.monotonic()
        store.submit(make_request(note("second", "bob"), agent="bob", id="second"))
        assert time.monotonic() - started < 1.0
    with contextlib.closing(GitStore(home)) as store:
        store.submit(make_request(note("third"), id="third"))
        requests = [dict(commit.trailers)["Request"] for commit in store.history()]
        assert sorted(requests) in (["begin", "first", "second", "third"], ["begin", "second", "third"])
        for commit in store.history():
            entries = [path for path, _ in commit.changed]
            assert len(entries) == 1
            assert commit.author == "swarm" or f"/{commit.author}/" in entries[0]
        assert notes(store) + notes(store, "bob") == len(requests) - 1
        assert not os.path.exists(f"{home}/ledger.git/refs/heads/swarm-ledger.lock")
        assert store.doctor(fix=True) is not None
        assert store.doctor() == []


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\xff\xfe",
        b'{"ops":["x"]}',
        b"[" * 100_000,
        b'{"id":"r9","agent":"a","session":"s","at":1,"subject":"s","trailers":[],"ops":[{"op":"put","entry":"e",'
        b'"path":"a.md","text":null,"base":null}]}',
        b'{"id":"r9","agent":"a","session":"s","at":1,"subject":"s","trailers":[],"ops":[{"op":"put","entry":"e",'
        b'"path":"../../x","text":"t","base":null}]}',
    ],
    ids=["empty", "bytes", "no op", "deep", "no text", "outside"],
)
def test_rubbish_in_the_queue_stops_nobody(git_store: GitStore, make_request: Make, rubbish: bytes) -> None:
    """What is no request is put aside, and is never committed."""
    Path(f"{git_store.home}/queue/new/00000000000000000001.r9.feedfeed.2").write_bytes(rubbish)
    os.mkdir(f"{git_store.home}/queue/new/00000000000000000002.r8.feedfeed.2")
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    assert [path for path, _ in git_store.paths()] == ["facts/a.md", "swarm.yaml"]
    assert [name for name in os.listdir(f"{git_store.home}/queue/new") if name[0] != "."] == []


def test_a_request_that_cannot_be_read_holds_nobody_up(git_store: GitStore, make_request: Make) -> None:
    """A leader that expects many waits for those that come, not for one that it has to put back again and again."""
    git_store.submit(make_request(Put("e", "facts/a.md", b"a", None)))
    name = "00000000000000000001.r9.feedfeed.2"
    os.symlink(name, f"{git_store.home}/queue/new/{name}")  # reading it fails each time, for no reason that is its own
    Path(f"{git_store.home}/commit.lock").write_text("9")
    begun = time.monotonic()
    git_store.submit(make_request(Put("e", "facts/b.md", b"b", None)))
    assert time.monotonic() - begun < 5
    assert git_store.read("facts/b.md") is not None


def test_the_queue_may_be_deleted_while_leading(home: str, make_request: Make) -> None:
    """Nobody spins: the writer tries again and lands, or says that nothing was written."""
    deleted: list[str] = []

    def delete(at: str) -> None:
        if at == "leading" and not deleted:
            deleted.append(at)
            shutil.rmtree(f"{home}/queue/taken")

    with contextlib.closing(GitStore(home, Env(point=delete), patience=2)) as store:
        started = time.monotonic()
        store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
        assert time.monotonic() - started < 1.0


def test_a_large_request_left_by_the_dead_is_answered_at_once(home: str, make_request: Make) -> None:
    """A leader dies after the ref moved with 1,000 appends: the next writer waits less than a second."""
    child = os.fork()
    if child == 0:
        with exiting():
            dying = GitStore(home, Env(point=lambda at: os.kill(os.getpid(), 9) if at == "ref-moved" else None))
            dying.submit(make_request(*(note(f"{n:08d}") for n in range(1000)), id="large"))
    os.waitpid(child, 0)
    with contextlib.closing(GitStore(home)) as store:
        started = time.monotonic()
        store.submit(make_request(note("next", "bob")))
        assert time.monotonic() - started < 1.0
        receipt = store.submit(make_request(*(note(f"{n:08d}") for n in range(1000)), id="large"))
        assert (receipt.paths[0], receipt.paths[-1]) == ("log/2026/11/21/ada/0000.md", "log/2026/11/21/ada/0031.md")
        assert notes(store) == 1000


def test_an_answer_too_long_for_a_mailbox_is_looked_up(home: str, make_request: Make) -> None:
    """3,000 files of one request, committed by another leader: the writer gets its receipt."""
    results: list[int] = []

    def write() -> None:
        with contextlib.closing(GitStore(home)) as store:
            ops = (Put("a", f"facts/{n:04d}-{'x' * 40}.md", b"x", None) for n in range(3000))
            results.append(len(store.submit(make_request(*ops)).paths))

    with contextlib.closing(GitStore(home)) as store:
        assert store._lock.try_acquire()
        thread = threading.Thread(target=write)
        thread.start()
        while not store._spool.waiting():
            time.sleep(0.01)
        store._lead("none")
        thread.join(timeout=20)
    assert results == [3000]


def test_a_cache_taken_back_hides_nothing_from_a_reader(home: str, make_request: Make) -> None:
    """Power loss may take the cache back some commits: marks noted since then still see every later change."""
    store = GitStore(home)
    store.submit(make_request(Put("a", "facts/0.md", b"0", None)))
    store._state.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old = Path(f"{home}/state.db").read_bytes()
    for number in range(1, 4):
        store.submit(make_request(Put("a", f"facts/{number}.md", b"x", None)))
    mark = store.changes(None).mark
    store.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{home}/state.db{suffix}").unlink(missing_ok=True)
    Path(f"{home}/state.db").write_bytes(old)
    store = GitStore(home)
    for number in range(4, 9):
        store.submit(make_request(Put("a", f"facts/{number}.md", b"x", None)))
    seen = {change.path for change in store.changes(mark).changes}
    assert {f"facts/{number}.md" for number in range(4, 9)} <= seen
    store.close()


def test_a_child_forked_among_threads_writes(home: str, make_request: Make) -> None:
    """Threads write while the process forks: parent and children all go on."""
    store = GitStore(home)
    stop = threading.Event()
    requests = [make_request(note(f"{n:08d}"), id=f"t{n}") for n in range(4000)]

    def work() -> None:
        while not stop.is_set():
            store.submit(requests.pop())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(5):
        child = os.fork()
        if child == 0:
            with exiting():
                signal.alarm(20)
                store.submit(make_request(note("child", f"c{number}"), id=f"child{number}"))
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5
    stop.set()
    for thread in threads:
        thread.join()
    assert all(notes(store, f"c{number}") == 1 for number in range(5))
    store.close()


def foreign(ledger: str, tree: list[tuple[str, str, bytes]], message: str = "by hand", author: str = "Hand") -> None:
    """Commit a tree of (mode, name, content) onto the branch with plain git."""

    def git(*arguments: str, stdin: bytes = b"") -> str:
        env = {
            **environment(),
            **{f"GIT_{who}_{what}": author for who in ("AUTHOR", "COMMITTER") for what in ("NAME",)},
        }
        done = subprocess.run(
            ["git", f"--git-dir={ledger}", *arguments], input=stdin, capture_output=True, env=env, check=True
        )
        return done.stdout.decode().strip()

    lines = list(git("ls-tree", "swarm-ledger").splitlines())
    for mode, name, content in tree:
        kind = {"160000": "commit", "040000": "tree"}.get(mode, "blob")
        made = "1" * 40 if kind == "commit" else git("hash-object", "-w", "--stdin", "-t", kind, stdin=content)
        lines = [line for line in lines if not line.endswith(f"\t{name}")] + [f"{mode} {kind} {made}\t{name}"]
    made = git("mktree", "--missing", stdin="\n".join([*lines, ""]).encode())
    commit = git("commit-tree", "-p", "swarm-ledger", made, stdin=message.encode())
    git("update-ref", "refs/heads/swarm-ledger", commit)


def test_foreign_content_that_is_no_entry_is_passed_by(git_store: GitStore, make_request: Make) -> None:
    """Submodules, symlinks, odd trailers and separators in a name: reads, writes and history go on."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    foreign(
        git_store.ledger, [("160000", "sub", b""), ("120000", "link", b"/etc/passwd")], "hand\n\nRequest: a\u2028zz b"
    )
    foreign(git_store.ledger, [("100644", "odd\\name.md", b"x")], author="Ha\x1fnd")
    assert [path for path, _ in git_store.paths()] == ["facts/a.md", "link", "swarm.yaml"]
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    assert len(list(git_store.history())) == 5


def test_a_foreign_file_where_a_directory_belongs_is_refused_upon(git_store: GitStore, make_request: Make) -> None:
    """No tree is made that holds both; the message says what is in the way."""
    foreign(git_store.ledger, [("100644", "log", b"a file")])
    with pytest.raises(Refused, match="log is a file where a directory belongs"):
        git_store.submit(make_request(note("x")))
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    assert git_store.doctor() == []


@pytest.mark.parametrize("version", ["99999999", "9" * 400, "2"])
def test_any_higher_format_is_newer(git_store: GitStore, version: str) -> None:
    """However large the number in swarm.yaml."""
    foreign(git_store.ledger, [("100644", "swarm.yaml", f"format: {version}\n".encode())])
    with pytest.raises(NewerFormat):
        git_store.read("swarm.yaml")
