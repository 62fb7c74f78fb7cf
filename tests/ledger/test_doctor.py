"""The doctor finds what was damaged on purpose, mends what is derived, and finds nothing in a sound ledger."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_ledger.compact import gc
from swarm_ledger.env import Env
from swarm_ledger.errors import Busy, Damaged, NotFound
from swarm_ledger.filelock import FileLock
from swarm_ledger.git import git
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.objects import blob_id
from swarm_ledger.remotes import find_remote
from swarm_ledger.store import Put, Request

Make = Callable[..., Request]


def test_a_sound_ledger_has_no_findings(git_store: GitStore, make_request: Make) -> None:
    """After ordinary writes there is nothing to say."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    assert git_store.doctor() == []


def test_a_cache_that_lies_is_found_and_built_anew(git_store: GitStore, make_request: Make) -> None:
    """A row that git does not know is named; --fix makes the cache say what git says."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    with sqlite3.connect(f"{git_store.home}/state.db") as db:
        db.execute("UPDATE files SET blob = ? WHERE path = 'facts/a.md'", (bytes(20),))
    db.close()
    (finding,) = git_store.doctor()
    assert "differs from the branch at facts/a.md" in finding.what and not finding.mended
    (finding,) = git_store.doctor(fix=True)
    assert finding.mended
    assert git_store.doctor() == []
    version = git_store.read("facts/a.md")
    assert version is not None and version.text == b"a"


def test_a_cache_that_cannot_be_read_is_built_anew(git_store: GitStore, make_request: Make) -> None:
    """Pages of the file are overwritten: the doctor names it, and mends it, instead of failing at it."""
    for number in range(30):
        git_store.submit(make_request(Put("a", f"facts/{number}.md", b"a" * 2000, None)))
    git_store.close()
    cache = Path(f"{git_store.home}/state.db")
    with open(cache, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (cache.stat().st_size - 4096))
    assert any("malformed" in finding.what and not finding.mended for finding in git_store.doctor())
    assert all(finding.mended for finding in git_store.doctor(fix=True))
    assert git_store.doctor() == []
    assert git_store.read("facts/7.md") is not None


def test_leftovers_of_the_dead_are_found_and_removed(git_store: GitStore, make_request: Make) -> None:
    """Scratch packs, `.keep` files, our ref lock and mailboxes that nobody reads."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    packs = f"{git_store.ledger}/objects/pack"
    Path(f"{packs}/pack-{'0' * 40}.keep").write_text("1" * 40 + "\n")
    os.link(f"{packs}/pack-{'0' * 40}.keep", f"{git_store.ledger}/refs/heads/swarm-ledger.lock")
    Path(f"{git_store.home}/tmp/abc.pack").write_bytes(b"torn")
    os.mkfifo(f"{git_store.home}/queue/post/feedfeedfeedfeed")
    whats = [finding.what for finding in git_store.doctor()]
    assert whats == ["1 mailboxes of writers that died", "2 files of leaders that died"]
    assert all(finding.mended for finding in git_store.doctor(fix=True))
    assert git_store.doctor() == []
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))


def test_a_lost_object_is_named(git_store: GitStore, make_request: Make) -> None:
    """A pack that is gone, and that neither a remote nor the cache has: each object of it is named."""
    before = _packs(git_store)
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    (pack,) = _packs(git_store) - before
    lost = git_store.tip()
    git_store.submit(make_request(Put("b", "facts/a.md", b"b", blob_id(b"a"))))
    _remove(pack)
    found = git_store.doctor()
    assert any("git fsck" in finding.what and "`swarm doctor` mends it" in finding.advice for finding in found)
    left = [finding.what for finding in git_store.doctor(fix=True) if not finding.mended]
    assert f"still wrong: missing commit {lost}" in left


def test_what_a_lost_pack_held_of_the_present_is_in_the_cache(git_store: GitStore, make_request: Make) -> None:
    """The last commit, its directories and its texts come back without any remote."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    before = _packs(git_store)
    git_store.submit(make_request(Put("b", "facts/x/b.md", b"b", None)))
    (new,) = _packs(git_store) - before
    _remove(new)
    (finding,) = git_store.doctor(fix=True)
    assert finding.mended and "were in the state cache" in finding.what
    assert git_store.doctor() == []
    assert git_store.blob(blob_id(b"b")) == b"b"


@pytest.mark.parametrize("damage", ["a byte", "cut short", "gone"])
def test_what_a_damaged_pack_held_is_fetched_from_the_remote(
    git_store: GitStore, make_request: Make, tmp_path: Path, damage: str
) -> None:
    """All of it is back, writes that the remote lacks included where they can be read; the pack is kept aside."""
    texts = [b"%d %s" % (number, os.urandom(300).hex().encode()) for number in range(40)]
    last = None
    for number, text in enumerate(texts):
        git_store.submit(make_request(Put("a", "facts/a.md", text, last and blob_id(last))))
        last = text
        if number == 19:
            shutil.copytree(git_store.ledger, tmp_path / "elsewhere.git")
    gc(git_store.home, Env())
    (pack,) = _packs(git_store)
    pack.chmod(0o644)
    with open(pack, "r+b") as file:
        if damage == "a byte":
            at = _place_of(git_store, pack, texts[3]) + 20
            file.seek(at)
            was = file.read(1)
            file.seek(at)
            file.write(bytes([was[0] ^ 0xFF]))
        elif damage == "cut short":
            file.truncate(pack.stat().st_size - 100)
    if damage == "gone":
        _remove(pack)
    assert any("git fsck" in finding.what for finding in git_store.doctor())
    here = find_remote(None, str(tmp_path / "elsewhere.git"), str(tmp_path))
    findings = git_store.doctor(fix=True, remote=here)
    assert any("fetched what" in finding.what for finding in findings)
    lost = [number for number, text in enumerate(texts) if _lost(git_store, text)]
    if damage == "a byte":
        assert all(finding.mended for finding in findings)
        assert git_store.doctor() == []
    if lost:  # with a commit all is lost that only it names, so that alone can be named
        assert any(finding.what.startswith("still wrong: missing") for finding in findings)
    assert lost == {"a byte": [], "gone": list(range(20, 39))}.get(damage, lost[:3]) and not set(lost) & set(range(20))
    assert (Path(git_store.home) / "damaged" / pack.name).exists() == (damage != "gone")
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))


@pytest.mark.parametrize("remains", ["", "junk"])
def test_a_damaged_index_is_made_anew_and_its_pack_stays(git_store: GitStore, make_request: Make, remains: str) -> None:
    """Every index is damaged, the packs are sound: nothing is lost, and no pack is moved away."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    git_store.submit(make_request(Put("b", "facts/a.md", b"b", blob_id(b"a"))))
    packs = _packs(git_store)
    for pack in packs:
        pack.with_suffix(".idx").chmod(0o644)
        pack.with_suffix(".idx").write_text(remains)
    os.unlink(f"{git_store.home}/state.db")
    assert all(finding.mended for finding in git_store.doctor(fix=True))
    assert git_store.doctor() == []
    assert _packs(git_store) == packs
    assert git_store.blob(blob_id(b"a")) == b"a"


@pytest.mark.parametrize(
    ("lost", "what"),
    [("HEAD", "is gone"), ("config", "is gone"), ("config", "cannot be read"), ("objects/pack", "is gone")],
)
def test_what_else_makes_a_repository_is_written_anew(git_store: GitStore, lost: str, what: str) -> None:
    """Without it no git reads the ledger, and no write can land."""
    path = Path(f"{git_store.ledger}/{lost}")
    if what == "cannot be read":
        path.write_text("[[[")
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert f"{path} {what}" in [finding.what for finding in git_store.doctor()]
    (finding, *_) = git_store.doctor(fix=True)
    assert finding.what == f"{path} {what}" and finding.mended
    if lost != "objects/pack":
        assert git_store.doctor() == []


def test_a_branch_that_names_a_commit_which_is_nowhere_can_go_on_from_the_newest_that_is_here(
    git_store: GitStore, make_request: Make
) -> None:
    """The command that the doctor names does it."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    tip = git_store.tip()
    Path(f"{git_store.ledger}/refs/heads/swarm-ledger").write_text("1" * 40 + "\n")
    advice = next(
        one.advice for one in git_store.doctor(fix=True) if one.what == f"the branch's last commit {'1' * 40} is lost"
    )
    assert advice.endswith(f"`swarm git update-ref refs/heads/swarm-ledger {tip}`")
    git(git_store.ledger, *advice.rpartition("swarm git ")[2].rstrip("`").split())
    assert git_store.doctor() == []
    git_store.submit(make_request(Put("b", "facts/a.md", b"b", blob_id(b"a"))))


@pytest.mark.parametrize("branch", ["torn", ""])
@pytest.mark.parametrize("which", range(4))
def test_a_lost_branch_is_found_again_when_its_packs_are_back(
    git_store: GitStore, make_request: Make, tmp_path: Path, which: int, branch: str
) -> None:
    """The branch, the cache and any one pack, be it that of the last commit: the remote has all of it."""
    packs = [*_packs(git_store)]
    for number in range(3):
        git_store.submit(make_request(Put("a", f"facts/{number}.md", b"a%d" % number, None)))
        packs += _packs(git_store).difference(packs)
    tip = git_store.tip()
    git_store.close()
    shutil.copytree(git_store.ledger, tmp_path / "elsewhere.git")
    ref = Path(f"{git_store.ledger}/refs/heads/swarm-ledger")
    ref.write_text(branch) if branch else ref.unlink()
    Path(f"{git_store.home}/state.db").unlink()
    _remove(packs[which])
    git_store.doctor(fix=True, remote=find_remote(None, str(tmp_path / "elsewhere.git"), str(tmp_path)))
    assert git_store.tip() == tip
    assert git_store.doctor() == []


def test_a_remote_that_does_not_answer_is_said(git_store: GitStore, make_request: Make, tmp_path: Path) -> None:
    """The rest is mended all the same."""
    before = _packs(git_store)
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    (pack,) = _packs(git_store) - before
    _remove(pack)
    (finding,) = git_store.doctor(fix=True, remote=find_remote(None, f"{tmp_path}/nowhere", str(tmp_path)))
    assert finding.mended and "nothing was fetched from" in finding.what


def _packs(store: GitStore) -> set[Path]:
    return set(Path(f"{store.ledger}/objects/pack").glob("*.pack"))


def _lost(store: GitStore, text: bytes) -> bool:
    try:
        return store.blob(blob_id(text)) != text
    except NotFound:
        return True


def _remove(pack: Path) -> None:
    pack.with_suffix(".idx").unlink()
    pack.unlink()


def _place_of(store: GitStore, pack: Path, text: bytes) -> int:
    """Where the record of `text` begins in the pack."""
    listed = git(store.ledger, "show-index", stdin=pack.with_suffix(".idx").read_bytes())
    places = {line.split()[1].decode(): int(line.split()[0]) for line in listed.splitlines()}
    return places[blob_id(text)]


@pytest.mark.parametrize("cache", ["with the cache", "without the cache"])
@pytest.mark.parametrize("damage", ["gone", "emptied"])
def test_a_lost_branch_stops_everything_until_the_doctor_puts_it_back(
    git_store: GitStore, make_request: Make, damage: str, cache: str
) -> None:
    """No new history is begun beside the old one, and no gc drops it."""
    for number in range(3):
        git_store.submit(make_request(Put("a", f"facts/{number}.md", b"a", None)))
    tip = git_store.tip()
    ref = Path(f"{git_store.ledger}/refs/heads/swarm-ledger")
    ref.unlink() if damage == "gone" else ref.write_bytes(b"")
    if cache == "without the cache":
        os.unlink(f"{git_store.home}/state.db")
    for action in (
        git_store.tip,
        git_store.gc,
        lambda: git_store.read("swarm.yaml"),
        lambda: list(git_store.history()),
        lambda: git_store.initialise("swarm", "again"),
        lambda: git_store.submit(make_request(Put("b", "facts/b.md", b"b", None))),
    ):
        with pytest.raises(Damaged, match="swarm doctor"):
            action()
    assert str(tip) in next(finding.what for finding in git_store.doctor())
    assert any(finding.mended for finding in git_store.doctor(fix=True))
    assert git_store.tip() == tip
    assert git_store.doctor() == []
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    assert len(list(git_store.history())) == 5


def test_an_index_that_is_gone_is_made_from_its_pack(git_store: GitStore, make_request: Make) -> None:
    """All indexes deleted: the doctor brings back every object."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    for index in Path(f"{git_store.ledger}/objects/pack").glob("*.idx"):
        index.unlink()
    assert any("has no index" in finding.what for finding in git_store.doctor())
    git_store.doctor(fix=True)
    assert git_store.doctor() == []
    assert len(list(git_store.history())) == 2


def test_a_new_ledger_in_the_place_of_a_deleted_one_begins_from_nothing(
    git_store: GitStore, make_request: Make
) -> None:
    """What was derived from the old one is not taken for the new one's."""
    git_store.submit(make_request(Put("a", "facts/a.md", b"a", None)))
    shutil.rmtree(git_store.ledger)
    create_repository(git_store.home, Env())
    git_store.initialise("swarm", "anew")
    git_store.submit(make_request(Put("b", "facts/b.md", b"b", None)))
    assert [path for path, _ in git_store.paths()] == ["facts/b.md", "swarm.yaml"]
    assert git_store.doctor() == []


def test_a_gc_beside_another_ends_with_try_again(git_store: GitStore) -> None:
    """A lock that stays held is no damage."""
    lock = FileLock(f"{git_store.home}/compact.lock")
    assert lock.try_acquire()
    seconds = iter(range(0, 1000, 30))
    with pytest.raises(Busy, match="packing this ledger"):
        gc(git_store.home, Env(monotonic=lambda: float(next(seconds)), sleep=lambda _: None))
    lock.close()


def test_torn_requests_are_named(git_store: GitStore) -> None:
    """What was put aside is listed with its path."""
    Path(f"{git_store.home}/queue/bad/1.r.x.1").write_bytes(b"{")
    (finding,) = git_store.doctor()
    assert finding.what.endswith("/queue/bad/1.r.x.1")


def test_gc_keeps_everything_and_shrinks(git_store: GitStore, make_request: Make) -> None:
    """After a gc there is one pack, all history, and room on the disk."""
    for number in range(60):
        git_store.submit(make_request(Put("a", f"facts/{number}.md", b"text %d\n" % number * 40, None)))
    packs = Path(f"{git_store.ledger}/objects/pack")
    before = sum(path.stat().st_size for path in packs.iterdir())
    git_store.gc()
    assert len(list(packs.glob("*.pack"))) == 1
    assert sum(path.stat().st_size for path in packs.iterdir()) < before
    assert len(list(git_store.history())) == 61
    assert git_store.doctor() == []


def test_packs_are_merged_by_the_way(git_store: GitStore, make_request: Make) -> None:
    """Many single writes leave few packs, without any gc."""
    for number in range(120):
        git_store.submit(make_request(Put("a", f"facts/{number}.md", b"x", None)))
    assert len(list(Path(f"{git_store.ledger}/objects/pack").glob("*.pack"))) < 60
    assert len(list(git_store.history())) == 121
    assert git_store.doctor() == []
