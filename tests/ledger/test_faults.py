"""The disk fails at any call, files are deleted or damaged while running, formats are newer: nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_ledger.env import Disk, Env
from swarm_ledger.errors import BadInput, Busy, Conflict, Damaged, NewerFormat, NotFound, StorageError, Unconfirmed
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.store import Append, Put, Request
from tests.children import exiting

Make = Callable[..., Request]


class Failing(Disk):
    """A disk whose `at`-th call fails with `code`, before it does anything or (`after`) when it has."""

    def __init__(self, at: int, code: int, after: bool = False) -> None:
        self.calls, self.at, self.code, self.after = 0, at, code, after

    def _call(self, act: Callable[[], None], path: str) -> None:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise OSError(self.code, os.strerror(self.code), path)
        act()
        if self.calls == self.at:
            raise OSError(self.code, os.strerror(self.code), path)

    def create(self, path: str, data: bytes, *, sync: bool = True) -> None:
        self._call(lambda: Disk.create(self, path, data, sync=sync), path)

    def overwrite(self, path: str, data: bytes) -> None:
        self._call(lambda: Disk.overwrite(self, path, data), path)

    def rename(self, source: str, target: str) -> None:
        self._call(lambda: Disk.rename(self, source, target), source)

    def link(self, source: str, target: str) -> None:
        self._call(lambda: Disk.link(self, source, target), source)

    def unlink(self, path: str) -> None:
        self._call(lambda: Disk.unlink(self, path), path)

    def sync_directory(self, path: str) -> None:
        self._call(lambda: Disk.sync_directory(self, path), path)


def calls_of_a_commit(home: str, make_request: Make) -> int:
    disk = Failing(-1, 0)
    with contextlib.closing(GitStore(home, Env(disk=disk))) as store:
        store.submit(make_request(Put("a", "facts/count.md", b"a", None)))
    return disk.calls


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_disk_that_fails_at_any_call_loses_nothing(home: str, make_request: Make, code: int, after: bool) -> None:
    """For every k, the k-th call of a commit fails: the error says so, the write is whole or absent, the next lands."""
    total = calls_of_a_commit(home, make_request)
    assert total >= 10
    for at in range(1, total + 1):
        path, request = f"facts/{at}.md", make_request(Put("a", f"facts/{at}.md", b"text", None))
        acknowledged = refused = False
        with contextlib.closing(GitStore(home, Env(disk=Failing(at, code, after)))) as store:
            try:
                store.submit(request)
                acknowledged = True
            except StorageError as error:
                refused = True
                assert "nothing was written" in str(error)
                assert "full" in str(error) or code == errno.EIO
            except Unconfirmed as error:
                assert request.id == error.request
        with contextlib.closing(GitStore(home)) as store:
            there = store.read(path)
            assert there is None or there.text == b"text"
            assert there is not None or not acknowledged
            assert there is None or not refused
            # Whatever the first try left behind: the same request again is there once, and so is another.
            store.submit(request)
            store.submit(make_request(Put("b", f"facts/{at}-next.md", b"b", None)))
            assert [dict(c.trailers)["Request"] for c in store.history(path)] == [request.id]
    assert os.listdir(f"{home}/tmp") == []


def test_a_failed_disk_answers_the_whole_batch(home: str, make_request: Make) -> None:
    """Writers whose leader meets a full disk are told so at once; none waits or believes that it wrote."""

    class Full(Disk):
        def create(self, path: str, data: bytes, *, sync: bool = True) -> None:
            if path.endswith(".pack"):
                raise OSError(errno.ENOSPC, "No space left on device", path)
            super().create(path, data, sync=sync)

    errors: list[Exception] = []

    def write(number: int) -> None:
        with contextlib.closing(GitStore(home, Env(disk=Full()), patience=5)) as store:
            try:
                store.submit(make_request(Put("a", f"facts/{number}.md", b"a", None)))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert [type(error) for error in errors] == [StorageError] * 6
    with contextlib.closing(GitStore(home)) as store:
        assert [path for path, _ in store.paths()] == ["swarm.yaml"]


@pytest.mark.parametrize("code", [errno.EROFS, errno.EPERM, errno.EACCES])
def test_a_place_that_may_not_be_written_names_the_way_out(tmp_path: Path, code: int) -> None:
    """A sandbox that denies the write is told about SWARM_HOME."""
    with pytest.raises(StorageError, match="SWARM_HOME"):
        create_repository(str(tmp_path / "swarm"), Env(disk=Failing(1, code)))


def test_sixteen_may_begin_one_ledger_at_once(tmp_path: Path) -> None:
    """Whoever is first makes it; the others find it, with one first commit."""
    home = str(tmp_path / "swarm")
    children = []
    for number in range(16):
        child = os.fork()
        if child == 0:
            with exiting():
                create_repository(home, Env())
                GitStore(home).initialise("swarm", f"begin{number}")
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 16
    with contextlib.closing(GitStore(home)) as store:
        assert len(list(store.history())) == 1
        assert store.read("swarm.yaml") is not None


def test_a_deleted_state_cache_is_made_anew(git_store: GitStore, make_request: Make) -> None:
    """Another process deletes the cache under a running store: nobody notices but the clock."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    mark = git_store.changes(None).mark
    for suffix in ("", "-wal", "-shm"):
        os.unlink(f"{git_store.home}/state.db{suffix}")
    assert git_store.read("facts/a.md") is not None
    assert git_store.changes(mark).complete
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    assert [path for path, _ in git_store.paths()] == ["facts/a.md", "facts/b.md", "swarm.yaml"]


@pytest.mark.parametrize("damage", [b"garbage, not a database", b"", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_state_cache_is_made_anew(home: str, make_request: Make, damage: bytes) -> None:
    """Whatever stands in the cache's file, git has the truth."""
    with contextlib.closing(GitStore(home)) as store:
        store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    for suffix in ("-wal", "-shm"):
        Path(f"{home}/state.db{suffix}").unlink(missing_ok=True)
    Path(f"{home}/state.db").write_bytes(damage)
    with contextlib.closing(GitStore(home)) as store:
        assert store.read("facts/a.md") is not None
        store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
        assert len(list(store.history())) == 3


def test_a_deleted_lock_file_or_queue_is_made_anew(git_store: GitStore, make_request: Make) -> None:
    """The spool and the locks hold nothing that matters between calls."""
    import shutil

    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    os.unlink(f"{git_store.home}/commit.lock")
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    shutil.rmtree(f"{git_store.home}/queue")
    git_store.submit(make_request(Put("c", "facts/c.md", b"c", None)))
    shutil.rmtree(f"{git_store.home}/tmp")
    git_store.submit(make_request(Put("d", "facts/d.md", b"d", None)))
    assert len(list(git_store.paths("facts/"))) == 4


def test_two_leaders_at_once_lose_nothing(home: str, make_request: Make) -> None:
    """The commit lock is deleted over and over under eight writers: compare-and-swap alone keeps every write."""
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            with exiting():
                store = GitStore(home)
                for turn in range(40):
                    name = f"{number}-{turn}"
                    text = name.encode()
                    store.submit(
                        Request(
                            f"r{number}x{turn}", f"w{number}", "s", 1, "w", (Put("a", f"facts/{name}.md", text, None),)
                        )
                    )
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{home}/commit.lock")
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    with contextlib.closing(GitStore(home)) as store:
        assert len(list(store.paths("facts/"))) == 320
        requests = [dict(commit.trailers)["Request"] for commit in store.history()]
        assert len(requests) == len(set(requests)) == 321


def test_a_ledger_that_is_gone_is_said_to_be(git_store: GitStore, make_request: Make) -> None:
    """Deleting the repository under a running store is damage, named, not an endless wait."""
    import shutil

    shutil.rmtree(git_store.ledger)
    with pytest.raises((Damaged, StorageError)):
        git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    with pytest.raises((Damaged, NotFound)):
        git_store.read("facts/a.md")


def test_a_ref_that_holds_no_commit_is_damage(git_store: GitStore, make_request: Make) -> None:
    """A torn ref is not taken for an empty ledger."""
    Path(f"{git_store.ledger}/refs/heads/swarm-ledger").write_bytes(b"")
    with pytest.raises(Damaged, match="swarm doctor"):
        git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))


def test_a_newer_ledger_is_left_alone(git_store: GitStore, make_request: Make) -> None:
    """A ledger of format 2 is neither read nor written by this version."""
    settings = git_store.read("swarm.yaml")
    assert settings is not None
    with contextlib.closing(GitStore(git_store.home)) as newer:
        newer.submit(make_request(Put("swarm.yaml", "swarm.yaml", b"format: 2\n", settings.blob)))
    os.unlink(f"{git_store.home}/state.db")
    tip = git_store.tip()
    with pytest.raises(NewerFormat, match="upgrade"):
        git_store.read("swarm.yaml")
    with pytest.raises(NewerFormat, match="upgrade"):
        git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    assert git_store.tip() == tip


def test_a_request_of_a_newer_version_stays_queued(git_store: GitStore, make_request: Make) -> None:
    """A leader serves its own format and leaves the rest to who can read it."""
    newer = Path(f"{git_store.home}/queue/new/00000000000000000001.r9.feedfeed.3")
    newer.write_bytes(b"who knows")
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    assert newer.read_bytes() == b"who knows"


def test_a_torn_request_is_put_aside(git_store: GitStore, make_request: Make) -> None:
    """Rubbish in the queue stops nobody and stays to be looked at."""
    Path(f"{git_store.home}/queue/new/00000000000000000001.r9.feedfeed.2").write_bytes(b'{"id": "r9", "ops')
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    assert os.listdir(f"{git_store.home}/queue/bad") == ["00000000000000000001.r9.feedfeed.2"]


def test_a_request_of_a_dead_writer_is_finished(home: str, make_request: Make) -> None:
    """Queued, then killed: the next leader commits it, once."""
    request = make_request(Append("log-261121-aaaaaaaa", "log/2026/11/21/ada/", b"H\n", b"## 10:00:00 x\n\nt\n\n"))
    with contextlib.closing(GitStore(home)) as store:
        store._spool.put(request, "0123456789abcdef")
        store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
        assert store.read("log/2026/11/21/ada/0000.md") is not None
        assert os.listdir(f"{home}/queue/taken") == []


def test_a_ref_lock_of_another_git_is_respected(git_store: GitStore, make_request: Make) -> None:
    """A lock that is not provably ours is never removed; the error names it."""
    import swarm_ledger.refs as refs

    lock = Path(f"{git_store.ledger}/refs/heads/swarm-ledger.lock")
    lock.write_bytes(b"")
    patience, refs._PATIENCE_S = refs._PATIENCE_S, 0.1
    try:
        with pytest.raises(Busy, match="held by another git"):
            git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    finally:
        refs._PATIENCE_S = patience
    assert lock.exists()
    lock.unlink()
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))


def test_a_commit_of_another_git_is_seen_and_built_upon(
    git_store: GitStore, make_request: Make, tmp_path: Path
) -> None:
    """Somebody clones, commits and pushes: the next read has it, the next write stands on it."""
    import subprocess

    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    work = tmp_path / "work"
    subprocess.run(["git", "clone", "-q", "-b", "swarm-ledger", git_store.ledger, str(work)], check=True)
    (work / "facts" / "deep").mkdir()
    (work / "facts" / "deep" / "ünï code.md").write_text("by hand")
    (work / "facts" / "a.md").unlink()
    subprocess.run(["git", "add", "-A"], cwd=work, check=True)
    commit = ["git", "-c", "user.name=Hand", "-c", "user.email=h@x", "commit", "-qm", "by hand"]
    subprocess.run(commit, cwd=work, check=True)
    subprocess.run(["git", "push", "-q", "origin", "swarm-ledger"], cwd=work, check=True)
    hand = git_store.read("facts/deep/ünï code.md")
    assert hand is not None and hand.text == b"by hand"
    assert git_store.read("facts/a.md") is None
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    assert [path for path, _ in git_store.paths("facts/")] == ["facts/b.md", "facts/deep/ünï code.md"]
    assert [commit.author for commit in git_store.history()] == ["ada", "Hand", "ada", "swarm"]


def test_packed_refs_are_read_and_moved(git_store: GitStore, make_request: Make) -> None:
    """After `git pack-refs` the branch is found and moves on."""
    import subprocess

    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    subprocess.run(["git", f"--git-dir={git_store.ledger}", "pack-refs", "--all"], check=True)
    assert not os.path.exists(f"{git_store.ledger}/refs/heads/swarm-ledger")
    assert git_store.tip() is not None
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    assert len(list(git_store.history())) == 3


def test_a_forked_child_uses_descriptors_of_its_own(git_store: GitStore, make_request: Make) -> None:
    """A store that was open before a fork works in parent and child at once."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    child = os.fork()
    if child == 0:
        with exiting():
            git_store.submit(make_request(Put("c", "facts/child.md", b"c", None), id="child"))
    git_store.submit(make_request(Put("p", "facts/parent.md", b"p", None), id="parent"))
    assert os.waitpid(child, 0)[1] == 0
    assert [path for path, _ in git_store.paths("facts/")] == ["facts/a.md", "facts/child.md", "facts/parent.md"]


def test_threads_of_one_process_share_a_store(git_store: GitStore, make_request: Make) -> None:
    """Eight threads on one store object: every write is there."""
    requests = [make_request(Put("a", f"facts/{n}.md", b"x", None)) for n in range(80)]

    def work(part: list[Request]) -> None:
        for request in part:
            git_store.submit(request)

    threads = [threading.Thread(target=work, args=(requests[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(git_store.paths("facts/"))) == 80


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """Its type is found by the longest mount point that holds the path."""
    from swarm_ledger.place import network_filesystem

    mounts = (
        "22 1 254:0 / / rw - ext4 /dev/root rw\n"
        "30 22 0:40 / /srv/nfs\\040share rw - nfs4 host:/x rw\n"
        "31 22 0:41 / /srv/nfs\\040share/local rw - ext4 /dev/sdb rw\n"
        "32 22 0:42 / /home/me rw - fuse.sshfs me@host: rw\n"
    )
    assert network_filesystem("/srv/nfs share/a/b", mounts) == "nfs4"
    assert network_filesystem("/srv/nfs share/local/a", mounts) is None
    assert network_filesystem("/home/me/x", mounts) == "fuse.sshfs"
    assert network_filesystem("/home/meagain", mounts) is None
    assert network_filesystem(str(tmp_path)) is None


def test_making_a_ledger_on_a_network_file_system_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the file system and SWARM_HOME, and makes nothing."""
    monkeypatch.setattr("swarm_ledger.gitstore.network_filesystem", lambda path: "nfs4")
    with pytest.raises(BadInput, match=r"nfs4.*SWARM_HOME"):
        create_repository(str(tmp_path / "swarm"), Env())
    assert not (tmp_path / "swarm").exists()


def test_a_conflict_costs_the_others_in_the_batch_nothing(home: str, make_request: Make) -> None:
    """Of many that create one path at once, one wins and each other is told which version won."""
    outcomes: list[object] = []

    def write(number: int) -> None:
        with contextlib.closing(GitStore(home)) as store:
            try:
                store.submit(make_request(Put("a", "facts/a.md", b"by %d" % number, None), id=f"w{number}"))
                outcomes.append(number)
            except Conflict as error:
                outcomes.append(error.current)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert len(winners) == 1
    with contextlib.closing(GitStore(home)) as store:
        won = store.read("facts/a.md")
        assert won is not None and won.text == b"by %d" % winners[0]
        assert set(outcomes) - set(winners) == {won.blob}
