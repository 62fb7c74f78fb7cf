"""The index file: shared by processes, thrown away when it is not what it should be."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarm_indexes import indexfile
from swarm_indexes.lexical import Fts5Index
from swarm_ledger import ids
from swarm_ledger.entry import Document
from swarm_ledger.env import Env
from swarm_ledger.errors import Busy, StorageError
from swarm_ledger.store import Put, Request

# Forked children share the ledger in memory, which stands for one on disk that nobody writes to meanwhile.
fork = multiprocessing.get_context("fork")


def fill(ledger: Any, entries: int) -> None:
    for n in range(entries):
        ledger.log(f"entry number{n} of batch", by=f"agent-{n % 3}")


def answers(index: Fts5Index) -> list[Any]:
    return [index.search(query) for query in ("batch", "number7 number8", "entry number11")]


def test_a_missing_file_is_made_and_a_good_one_is_kept(ledger: Any, path: str) -> None:
    """`rebuilt` says why this object made the file, and is empty where it found one."""
    fill(ledger, 3)
    first = Fts5Index(path, ledger.store)
    assert first.catch_up() == 3
    assert first.rebuilt == "missing"
    second = Fts5Index(path, ledger.store)
    assert second.catch_up() == 0
    assert second.rebuilt == ""


def overwrite(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


def other_database(path: str) -> None:
    os.unlink(path)
    db = sqlite3.connect(path)
    db.executescript("CREATE TABLE entry (n); CREATE TABLE words (n);")
    db.close()


def without_a_table(path: str) -> None:
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE file;")
    db.close()


def half(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def zeroed(path: str) -> None:
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(bytes(size - 4096))


def torn(path: str) -> None:
    os.truncate(path, os.path.getsize(path) - 100)


def no_utf8(path: str) -> None:
    overwrite(path, Path(path).read_bytes().replace(b"entry number", b"entry numbe\xff"))


def no_schema(path: str) -> None:
    overwrite(path, Path(path).read_bytes().replace(b"TABLE entry", b"TABL\xff entry"))


def without_rows(path: str) -> None:
    db = sqlite3.connect(path)
    db.executescript("DELETE FROM entry WHERE n % 2;")
    db.close()


DAMAGE = [
    (lambda path: overwrite(path, b""), "foreign"),
    (lambda path: overwrite(path, b"no database at all" * 500), "foreign"),
    (lambda path: overwrite(path, b"SQLite format 3\0" + b"\xff" * 5000), "foreign"),
    (other_database, "foreign"),
    (without_a_table, "damaged"),
    (half, "damaged"),
    (torn, "damaged"),
    (no_utf8, "damaged"),
    (no_schema, "damaged"),
    (without_rows, "damaged"),
    (zeroed, "damaged"),
    (os.unlink, "missing"),
]


@pytest.mark.parametrize(("damage", "why"), DAMAGE)
def test_a_file_that_is_not_right_is_made_anew_with_the_same_answers(
    ledger: Any, path: str, damage: Callable[[str], None], why: str
) -> None:
    """Empty, foreign, half-written, damaged or gone: the next search answers as before."""
    fill(ledger, 60)
    index = Fts5Index(path, ledger.store)
    expected = answers(index)
    index.close()
    damage(path)
    index = Fts5Index(path, ledger.store)
    assert answers(index) == expected
    assert index.rebuilt == why


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM wordset WHERE n % 2",
        "UPDATE wordset SET words = x'010203'",
        "UPDATE wordset SET words = randomblob(128)",
        "DELETE FROM spread",
        "UPDATE spread SET counts = x'00'",
        "UPDATE spread SET counts = zeroblob(1024)",
        "UPDATE spread SET counts = 'many'",
        "UPDATE entry SET marks = x'00'",
        "UPDATE meta SET value = '-3' WHERE key = 'entries'",
    ],
)
def test_tables_that_only_a_question_reads_are_made_anew_where_damaged(ledger: Any, path: str, statement: str) -> None:
    """Lost or impossible rows are noticed when a question needs them, and it is answered as before."""
    fill(ledger, 20)
    index = Fts5Index(path, ledger.store)
    before = index.search("which batch has number7?")
    index.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(statement)
    index = Fts5Index(path, ledger.store)
    assert index.search("which batch has number7?") == before
    assert index.rebuilt == "damaged"


@pytest.mark.parametrize("damage", [os.unlink, zeroed, without_a_table])
def test_damage_under_an_open_index_is_mended(ledger: Any, path: str, damage: Callable[[str], None]) -> None:
    """A process that has the file open goes on with a new one, and another process sees what it writes."""
    fill(ledger, 60)
    index = Fts5Index(path, ledger.store)
    expected = answers(index)
    other = Fts5Index(path, ledger.store)
    other.catch_up()
    damage(path)
    ledger.log("after the damage")
    assert len(index.search("damage")) == 1
    assert len(other.search("damage")) == 1
    fresh = Fts5Index(path, ledger.store)
    assert fresh.catch_up() == 0
    assert [[hit.id for hit in hits] for hits in answers(fresh)[1:]] == [
        [hit.id for hit in hits] for hits in expected[1:]
    ]


def test_check_names_what_disagrees_with_the_ledger(ledger: Any, path: str) -> None:
    """A sound index has no findings; a row or a posting that was tampered with has one, and a rebuild none again."""
    fill(ledger, 4)
    index = Fts5Index(path, ledger.store)
    assert index.check() == []
    db = sqlite3.connect(path)
    db.execute("UPDATE entry SET body = 'tampered' WHERE n = 2")
    db.execute("UPDATE file SET version = 'other' WHERE path LIKE '%agent-0%'")
    db.commit()
    assert index.check() == [
        "the postings disagree with the texts",
        "log/2026/11/21/agent-0/0000.md: the index does not hold the current version",
    ]
    index.reindex()
    assert index.check() == []


def test_sixteen_processes_build_one_index(ledger: Any, path: str) -> None:
    """All start with no file; each answers in full; the entries are taken in once."""
    fill(ledger, 300)

    def work(results: Any) -> None:
        index = Fts5Index(path, ledger.store)
        found = len(index.search("entry", k=1000))
        results.put((found, index.search("number17")[0].title))
        index.close()

    results = fork.Queue()
    processes = [fork.Process(target=work, args=(results,)) for _ in range(16)]
    for process in processes:
        process.start()
    got = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert got == [(300, "entry number17 of batch")] * 16
    assert Fts5Index(path, ledger.store).catch_up() == 0
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*), count(DISTINCT id) FROM entry").fetchone() == (300, 300)
    db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


def test_kill_9_at_any_moment_leaves_an_index_that_answers_in_full(ledger: Any, path: str) -> None:
    """Processes that are killed while they build or replace the file leave nothing that has to be mended by hand."""
    fill(ledger, 400)
    expected = answers(Fts5Index(path + ".other", ledger.store))

    def work() -> None:
        while True:
            Fts5Index(path, ledger.store).reindex()

    inside = 0
    for round_ in range(12):
        process = fork.Process(target=work)
        process.start()
        time.sleep(0.02 + 0.011 * round_)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        inside += os.path.exists(f"{path}.new")
        assert answers(Fts5Index(path, ledger.store)) == expected
    assert inside > 0, "no process was killed inside a build"


def many(ledger: Any, files: int) -> None:
    """So many facts in one commit: more than one transaction of the index takes."""
    rng = random.Random(files)
    ops = []
    for number in range(files):
        at = datetime(2026, 11, 20, number % 24, tzinfo=UTC)
        identity = ids.new_id("fact", at, rng)
        fields = {"id": identity, "kind": "fact", "title": f"Fact {number}", "by": "ada", "at": at.isoformat()}
        ops.append(
            Put(identity, ids.path_of(identity), Document.create(fields, f"about word{number % 50}\n").data, None)
        )
    ledger.store.submit(Request(ids.new_request(rng), "ada", "s", 1_795_000_000, "many", tuple(ops)))


def test_a_large_build_goes_on_where_it_was_killed(ledger: Any, path: str) -> None:
    """What was taken in before kill -9 is not taken in again; the answers are those of one that nobody interrupted."""
    many(ledger, 3500)
    whole = Fts5Index(f"{path}.other", ledger.store)
    assert whole.catch_up() == 3500

    def work() -> None:
        index = Fts5Index(path, ledger.store)
        index.progress = lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 2000 else None
        index.catch_up()

    process = fork.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    index = Fts5Index(path, ledger.store)
    told: list[tuple[int, int]] = []
    index.progress = lambda done, total: told.append((done, total))
    assert index.catch_up() == 1500
    assert told == [(1000, 3500), (2000, 3500), (3000, 3500), (3500, 3500)]
    for query in ("word7", "fact word12", "Fact 3499"):
        assert index.search(query, k=50) == whole.search(query, k=50)
    assert index.check() == []


def test_nobody_searches_half_an_index(ledger: Any, path: str) -> None:
    """Who asks while another process takes in much waits until all of it is there."""
    many(ledger, 2500)
    begun, go_on = fork.Event(), fork.Event()

    def work() -> None:
        index = Fts5Index(path, ledger.store)

        def told(done: int, total: int) -> None:
            begun.set()
            go_on.wait(30)

        index.progress = told
        index.catch_up()

    process = fork.Process(target=work)
    process.start()
    assert begun.wait(30)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        go_on.set()
        time.sleep(seconds)

    index = Fts5Index(path, ledger.store, Env(sleep=sleep))
    assert len(index.search("fact", k=5000)) == 2500
    assert pauses
    assert index.rebuilt == ""
    process.join()


def test_a_rebuild_keeps_nobody_waiting(ledger: Any, path: str) -> None:
    """The old file answers until the new one is there; a second rebuild at the same time is refused."""
    many(ledger, 2500)
    index, other = Fts5Index(path, ledger.store), Fts5Index(path, ledger.store, Env(sleep=lambda seconds: None))
    index.catch_up()
    other.catch_up()
    answered = []

    def told(done: int, total: int) -> None:
        answered.append(len(other.search("fact", k=5000)))
        with pytest.raises(Busy, match="anew already"):
            other.reindex()

    index.progress = told
    inode = os.stat(path).st_ino
    assert index.reindex() == 2500
    assert answered == [2500] * 3
    assert os.stat(path).st_ino != inode
    assert len(other.search("fact", k=5000)) == 2500
    assert sorted(os.listdir(os.path.dirname(path)))[:2] == ["lexical.db", "lexical.db-shm"]


def test_a_waiting_process_takes_over_what_the_other_did_not_finish(ledger: Any, path: str) -> None:
    """While another process holds the index, a search waits, with pauses of this side, then answers in full."""
    fill(ledger, 5)
    Fts5Index(path, ledger.store).catch_up()
    ledger.log("one addition")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 20:
            holder.execute("ROLLBACK")

    index = Fts5Index(path, ledger.store, Env(sleep=sleep))
    assert len(index.search("addition")) == 1
    assert len(pauses) == 20
    assert max(pauses) <= 0.02


def test_a_holder_that_does_not_go_on_is_named_as_the_cause(ledger: Any, path: str) -> None:
    """After a stated time the search gives up with what to do; it never answers without an acknowledged write."""
    fill(ledger, 1)
    Fts5Index(path, ledger.store).catch_up()
    ledger.log("one addition")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 1.0

    index = Fts5Index(path, ledger.store, Env(monotonic=lambda: now[0], sleep=sleep))
    with pytest.raises(Busy, match="for 60 s and does not go on"):
        index.search("addition")
    holder.close()
    assert len(index.search("addition")) == 1


def test_a_reader_does_not_wait_for_a_writer_when_nothing_is_new(ledger: Any, path: str) -> None:
    """With the index up to date, another process that writes to it holds nobody up."""
    fill(ledger, 5)
    index = Fts5Index(path, ledger.store)
    index.catch_up()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert len(index.search("number3")) == 1
    holder.close()


def test_a_directory_that_refuses_says_what_to_do(ledger: Any, tmp_path: Path) -> None:
    """Neither a place that is a file nor one that is a directory gives a traceback of SQLite's."""
    fill(ledger, 1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="opening the search index"):
        Fts5Index(str(tmp_path / "file" / "lexical.db"), ledger.store).catch_up()
    (tmp_path / "lexical.db").mkdir()
    with pytest.raises(StorageError, match="SWARM_HOME"):
        Fts5Index(str(tmp_path / "lexical.db"), ledger.store).catch_up()


def test_a_full_disk_is_refused_and_leaves_the_index_as_it_was(ledger: Any, path: str) -> None:
    """What does not fit is not taken in by half; with room again the next search has all of it."""
    fill(ledger, 3)
    index = Fts5Index(path, ledger.store)
    index.catch_up()
    pages = index._file.run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone()[0])
    ledger.log("word " * 50_000)
    with pytest.raises(StorageError, match="full"):
        index.search("word")
    index._file.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages * 1000}"))
    assert len(index.search("word")) == 1
    assert index.check() == []


def test_an_open_index_serves_threads_and_children(ledger: Any, path: str) -> None:
    """Threads take turns; a forked child opens the file itself and leaves the parent's connection alone."""
    fill(ledger, 20)
    index = Fts5Index(path, ledger.store)
    index.catch_up()
    with ThreadPoolExecutor(4) as pool:
        assert [len(hits) for hits in pool.map(index.search, ["number3"] * 40)] == [1] * 40
    results = fork.Queue()
    child = fork.Process(target=lambda: results.put(len(index.search("entry", k=50))))
    child.start()
    assert results.get(timeout=30) == 20
    child.join()
    ledger.log("entry after the child")
    assert len(index.search("entry", k=50)) == 21


def test_a_child_forked_while_another_thread_asks_waits_for_nobody(ledger: Any, path: str) -> None:
    """The thread that holds the index is not there in the child."""
    fill(ledger, 3)
    index = Fts5Index(path, ledger.store)
    index.catch_up()
    asking, asked = threading.Event(), threading.Event()

    def ask(db: sqlite3.Connection) -> None:
        asking.set()
        asked.wait(30)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(index._file.run, ask)
        asking.wait(30)
        results = fork.Queue()
        child = fork.Process(target=lambda: results.put(len(index.search("entry", k=50))))
        child.start()
        try:
            assert results.get(timeout=30) == 3
        finally:
            child.kill()
            child.join()
            asked.set()
            held.result(30)


def test_a_failing_ledger_leaves_the_index_as_it_was(ledger: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store raises in the middle of a catch-up passes through, and the next one starts afresh."""
    fill(ledger, 2)
    index = Fts5Index(path, ledger.store)
    index.catch_up()
    ledger.log("one addition")
    with monkeypatch.context() as patched:
        patched.setattr(ledger.store, "changes", lambda mark: (_ for _ in ()).throw(Busy("held")))
        with pytest.raises(Busy, match="held"):
            index.catch_up()
    assert index.catch_up() == 1


def test_the_lock_of_the_directory_is_waited_for(ledger: Any, path: str) -> None:
    """A process that replaces the file makes the others wait, not fail."""
    fill(ledger, 2)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    indexfile.fcntl.flock(directory, indexfile.fcntl.LOCK_EX)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            os.close(directory)

    assert Fts5Index(path, ledger.store, Env(sleep=sleep)).catch_up() == 2
    assert len(pauses) == 3


def test_a_write_of_one_process_is_seen_by_another(tmp_path: Path) -> None:
    """A process that has the index open finds what a second process committed, without being told."""
    from swarm_ledger.gitstore import GitStore, create_repository

    home = str(tmp_path / "swarm")
    create_repository(home, Env())
    index = Fts5Index(f"{home}/indexes/lexical.db", GitStore(home))
    assert index.search("penguin") == []
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from tests.indexes.conftest import Ledger; from swarm_ledger.gitstore import GitStore;"
        "print(Ledger(GitStore(sys.argv[2])).log('a penguin'))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code, root, home], capture_output=True, text=True, check=True)
    assert [hit.id for hit in index.search("penguin")] == [done.stdout.strip()]
