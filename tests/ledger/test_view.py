"""The view in a worktree: current after each write, never over what a hand has just saved, nowhere outside itself."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_ledger import swap, views
from swarm_ledger.env import Env
from swarm_ledger.errors import BadInput
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.memory import MemoryStore
from swarm_ledger.objects import blob_id
from swarm_ledger.place import Place
from swarm_ledger.store import Append, Delete, Put, Request
from swarm_ledger.tree import signature
from swarm_ledger.view import View

Make = Callable[..., Request]
FACT = "facts/2026/11/21/7/fact-261121-7k3q9m2x.md"
OTHER = "facts/2026/11/21/8/fact-261121-8k3q9m2x.md"
ONE, TWO, HAND = b"one\n", b"two\n", b"by hand\n"


class World:
    """A store in memory and a view of it; `during` runs at the named points of a refresh."""

    def __init__(self, base: Path, make: Make) -> None:
        self.store, self._make = MemoryStore(), make
        self.during: dict[str, Callable[[], None]] = {}
        (base / "registration").mkdir()
        self.worktree = base / "work"
        self.worktree.mkdir()
        env = Env(rng=random.Random(5), point=lambda name: self.during.pop(name, lambda: None)())
        self.view = View(str(base / "registration"), str(self.worktree), env)

    def put(self, path: str, text: bytes, base: bytes | None = None) -> None:
        self.store.submit(self._make(Put("e", path, text, blob_id(base) if base is not None else None)))

    def delete(self, path: str, base: bytes) -> None:
        self.store.submit(self._make(Delete("e", path, blob_id(base))))

    def refresh(self, limit: int | None = None) -> int:
        with self.view.alone():
            return self.view.refresh(self.store, limit)

    def file(self, path: str = FACT) -> Path:
        return Path(self.view.root) / path

    def aside(self) -> list[bytes]:
        directory = self.worktree / ".swarm/aside"
        return [path.read_bytes() for path in sorted(directory.iterdir())]

    def scan(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], dict[str, str]]:
        with self.view.alone(), self.view.opened() as files:
            return self.view.scan(files)

    def shown(self) -> dict[str, bytes]:
        root = Path(self.view.root)
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.md")}


@pytest.fixture
def world(tmp_path: Path, make_request: Make) -> World:
    return World(tmp_path, make_request)


def test_a_refresh_shows_what_the_ledger_holds(world: World) -> None:
    """New, changed and removed files; empty directories go."""
    world.put(FACT, ONE)
    world.put(OTHER, ONE)
    assert world.refresh() == 2
    world.put(FACT, TWO, ONE)
    world.delete(OTHER, ONE)
    world.refresh()
    assert world.shown() == {FACT: TWO}
    assert not world.file(OTHER).parent.exists()
    assert world.aside() == []
    assert world.scan() == ((), (), (), {})


def test_appends_to_a_log_show_in_its_file(world: World, make_request: Make) -> None:
    """Many appends since the last refresh are one change of one file."""
    for number in range(5):
        section = b"## 10:54:03 log-261121-7k3q9m2%d\n\nhello\n\n" % number
        world.store.submit(make_request(Append("log-261121-7k3q9m2x", "log/2026/11/21/ada/", b"head\n", section)))
    assert world.refresh() == 1
    assert world.file("log/2026/11/21/ada/0000.md").read_bytes().count(b"hello") == 5


def test_what_is_no_entry_is_not_shown(world: World) -> None:
    """A path that another git committed cannot lead anywhere, nor take an editor's place."""
    world.put("facts/notes.txt", ONE)
    world.put("log/2026/11/21/ada/notes.md", ONE)
    world.put("swarm.yaml", b"format: 1\n")
    world.refresh()
    assert world.shown() == {}
    assert world.file("swarm.yaml").read_bytes() == b"format: 1\n"


def test_a_limited_refresh_leaves_the_rest_to_the_next(world: World) -> None:
    """Whoever has a writer waiting does a little; nothing is forgotten."""
    for number in range(10):
        world.put(f"facts/2026/11/21/7/fact-261121-7k3q9m0{number}.md", ONE)
    assert [world.refresh(limit=4) for _ in range(4)] == [4, 4, 2, 0]
    assert len(world.shown()) == 10


@pytest.mark.parametrize("rename", [True, False])
def test_a_save_before_the_exchange_keeps_its_place(world: World, rename: bool) -> None:
    """An editor that saves just before the new version goes in finds its text where it saved it."""
    world.put(FACT, ONE)
    world.refresh()
    world.put(FACT, TWO, ONE)
    world.during["view-written"] = lambda: _save(world.file(), HAND, rename)
    world.refresh()
    assert world.file().read_bytes() == HAND
    assert world.scan()[0] == (FACT,)
    assert world.aside() == []


@pytest.mark.parametrize("rename", [True, False])
def test_a_save_after_the_exchange_stands(world: World, rename: bool) -> None:
    """An editor that saves just after the new version went in has its text there, and it is seen as an edit."""
    world.put(FACT, ONE)
    world.refresh()
    world.put(FACT, TWO, ONE)
    world.during["view-exchanged"] = lambda: _save(world.file(), HAND, rename)
    world.refresh()
    assert world.file().read_bytes() == HAND
    assert world.scan()[0] == (FACT,)


@pytest.mark.parametrize("point", ["view-put", "view-exchanged"])
def test_a_save_before_we_note_our_file_is_seen(world: World, point: str) -> None:
    """What we note of a file is what we wrote, not what a hand has made of it since in the same number of bytes."""
    world.put(FACT, ONE)
    if point == "view-exchanged":
        world.refresh()
        world.put(FACT, TWO, ONE)
    world.during[point] = lambda: _save(world.file(), b"own\n", False)
    world.refresh()
    assert point not in world.during
    with world.view.alone(), world.view.opened() as files:
        assert world.view.scan(files, (), [FACT]).edited == (FACT,)


def test_a_save_in_the_same_tick_of_the_clock_is_seen(world: World) -> None:
    """Where the times of a file say nothing, because it was looked at as soon as it was written, its content tells."""
    world.put(FACT, ONE)
    world.refresh()
    world.file().write_bytes(b"own\n")
    info = os.stat(world.file())
    with world.view.alone(), world.view.opened() as files:
        row = world.view.manifest.row(FACT)
        assert row is not None
        looked = info.st_mtime_ns + 1_000_000
        world.view.manifest.put(row._replace(signature=signature(info), looked=looked))
        assert world.view.scan(files, (), [FACT]).edited == (FACT,)


def test_two_saves_around_the_exchange_are_both_kept(world: World) -> None:
    """The newer one stands in its place, the older one waits aside, named for what it is of."""
    world.put(FACT, ONE)
    world.refresh()
    world.put(FACT, TWO, ONE)

    def second() -> None:
        _save(world.file(), b"second save\n", True)

    def first() -> None:
        _save(world.file(), HAND, True)
        world.during["view-exchanged"] = second

    world.during["view-written"] = first
    world.refresh()
    assert world.file().read_bytes() == b"second save\n"
    assert world.aside() == [HAND]
    with world.view.alone(), world.view.opened() as files:
        [(left, found)] = world.view.written_aside(files)
    assert (left.path, left.version, found.text) == (FACT, blob_id(ONE), HAND)


def test_an_editor_that_holds_the_old_file_open_loses_nothing(world: World) -> None:
    """The old file stays aside while it is open for writing; what was written into it then is found."""
    if swap.is_being_written(os.open("/dev/null", os.O_RDONLY)) is None and not os.path.exists("/proc"):
        pytest.skip("this system does not tell who writes a file")
    world.put(FACT, ONE)
    world.refresh()
    world.put(FACT, TWO, ONE)
    with open(world.file(), "r+b", buffering=0) as editor:
        world.refresh()
        assert world.file().read_bytes() == TWO
        assert world.aside() == [ONE]
        editor.write(b"ONE")
    world.refresh()
    assert world.aside() == [b"ONE\n"]
    with world.view.alone(), world.view.opened() as files:
        assert [found.text for _, found in world.view.written_aside(files)] == [b"ONE\n"]


def test_a_file_that_a_hand_changed_is_left_until_it_is_taken_in(world: World) -> None:
    """A refresh does not touch it, nor one that a hand deleted; the others go on."""
    world.put(FACT, ONE)
    world.put(OTHER, ONE)
    world.refresh()
    world.file().write_bytes(HAND)
    world.file(OTHER).unlink()
    world.put(FACT, TWO, ONE)
    world.put(OTHER, TWO, ONE)
    world.put("plan/next.md", ONE)
    world.refresh()
    assert world.shown() == {FACT: HAND, "plan/next.md": ONE}
    edited, new, missing, problems = world.scan()
    assert (edited, new, missing, problems) == ((FACT,), (), (OTHER,), {})


def test_a_retraction_leaves_a_file_that_a_hand_changed(world: World) -> None:
    """What was edited is not removed because the entry went."""
    world.put(FACT, ONE)
    world.refresh()
    world.file().write_bytes(HAND)
    world.delete(FACT, ONE)
    world.refresh()
    assert world.shown() == {FACT: HAND}


def test_a_change_within_the_clock_s_grain_is_found(world: World) -> None:
    """Same size, same times: a file written so lately is looked at by content."""
    world.put(FACT, ONE)
    world.refresh()
    before = world.file().stat()
    with open(world.file(), "r+b") as file:
        file.write(b"ono\n")
    os.utime(world.file(), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert world.scan()[0] == (FACT,)


def test_a_view_that_is_deleted_comes_back(world: World) -> None:
    """As a whole, with its directory or without: that is no edit."""
    world.put(FACT, ONE)
    world.refresh()
    shutil.rmtree(world.worktree / ".swarm")
    world.refresh()
    assert world.shown() == {FACT: ONE}
    shutil.rmtree(world.file("facts"))
    world.refresh()
    assert world.shown() == {FACT: ONE}


@pytest.mark.parametrize("damage", ["deleted", "garbage"])
def test_a_lost_manifest_is_made_anew(world: World, damage: str) -> None:
    """Files that hold a version of the ledger are ours, older ones are brought up to date, others are a hand's."""
    world.put(FACT, ONE)
    world.put(OTHER, ONE)
    world.refresh()
    world.file(OTHER).write_bytes(HAND)
    world.put(FACT, TWO, ONE)
    manifest = Path(world.view.registration) / "manifest.db"
    world.view.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{manifest}{suffix}").unlink(missing_ok=True)
    manifest.unlink() if damage == "deleted" else manifest.write_bytes(b"garbage" * 1000)
    world.refresh()
    assert world.shown() == {FACT: TWO, OTHER: HAND}
    assert world.scan()[0] == (OTHER,)


def test_links_are_never_followed_out_of_the_view(world: World, tmp_path: Path) -> None:
    """A link where a directory or a file belongs is named, and what it points to stays as it is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_bytes(b"secret\n")
    world.put("plan/next.md", ONE)
    world.refresh()
    os.symlink(outside, world.file("facts"))
    os.symlink(outside / "secret.md", world.file("plan/linked.md"))
    world.put(FACT, ONE)
    world.put("plan/linked.md", ONE)
    world.refresh()
    assert sorted(path.name for path in outside.iterdir()) == ["secret.md"]
    assert (outside / "secret.md").read_bytes() == b"secret\n"
    edited, new, _, problems = world.scan()
    assert (edited, new) == ((), ())
    assert "plan/linked.md" in problems
    assert FACT in world.view.manifest.problems()


def test_a_view_that_is_a_link_is_refused(world: World, tmp_path: Path) -> None:
    """`.swarm` may not lead elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    os.symlink(outside, world.worktree / ".swarm")
    world.put(FACT, ONE)
    with pytest.raises(OSError):
        world.refresh()
    assert list(outside.iterdir()) == []


def test_special_files_are_named_and_not_opened(world: World) -> None:
    """A fifo would stop whoever reads it; a directory may stand where a file was."""
    world.put(FACT, ONE)
    world.refresh()
    world.file().unlink()
    world.file().mkdir()
    os.mkfifo(world.file("pipe.md"))
    edited, new, missing, problems = world.scan()
    assert (edited, new, missing) == ((), (), ())
    assert set(problems) == {FACT, "pipe.md"}
    world.put(FACT, TWO, ONE)
    world.refresh()
    assert world.file().is_dir()


def test_what_editors_put_beside_a_file_is_no_file(world: World) -> None:
    """Hidden files, backups and temporaries are not looked at."""
    world.put("plan/next.md", ONE)
    world.refresh()
    for name in (".next.md.swp", "next.md~", "#next.md#", ".#next.md", "next.md.tmp.123", "4913", ".DS_Store"):
        world.file(f"plan/{name}").write_bytes(HAND)
    assert world.scan() == ((), (), (), {})


def test_without_an_exchange_nothing_is_lost_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that cannot exchange two names, the old file is moved away and the new one linked in."""
    monkeypatch.setattr(swap, "_rename", lambda: None)
    world.put(FACT, ONE)
    world.put(OTHER, ONE)
    world.refresh()
    world.put(FACT, TWO, ONE)
    world.put(OTHER, TWO, ONE)
    world.during["view-written"] = lambda: _save(world.file(), HAND, True)
    world.refresh()
    assert world.shown() == {FACT: HAND, OTHER: TWO}
    assert world.scan()[0] == (FACT,)


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point", ["view-written", "view-exchanged"])
def test_a_refresh_that_dies_is_made_good_by_the_next(world: World, point: str) -> None:
    """Before or after the exchange: a text of ours is not taken for a hand's, and nothing is left aside."""

    def die() -> None:
        raise Died

    world.put(FACT, ONE)
    world.refresh()
    world.put(FACT, TWO, ONE)
    world.during[point] = die
    with pytest.raises(Died):
        world.refresh()
    world.put(FACT, b"three\n", TWO)
    world.refresh()
    assert world.shown() == {FACT: b"three\n"}
    assert world.scan() == ((), (), (), {})
    with world.view.alone(), world.view.opened() as files:
        assert {found.text for _, found in world.view.written_aside(files)} <= {TWO}


def _save(path: Path, text: bytes, rename: bool) -> None:
    if rename:
        beside = path.with_name("beside.tmp")
        beside.write_bytes(text)
        os.rename(beside, path)
    else:
        path.write_bytes(text)


# Registration


@pytest.fixture
def place(tmp_path: Path) -> Place:
    common = tmp_path / "work/.git"
    common.mkdir(parents=True)
    (common / "HEAD").write_text("ref: refs/heads/main\n")
    return Place(f"{common}/swarm", str(common), str(common), str(tmp_path / "work"))


def test_a_write_shows_when_it_returns(place: Place, make_request: Make) -> None:
    """The process that commits brings the view up to date, with no watcher."""
    create_repository(place.home, Env())
    store = GitStore(place.home)
    views.turn_on(place, Env())
    store.submit(make_request(Put("e", FACT, ONE, None)))
    assert Path(f"{place.worktree}/.swarm/ledger/{FACT}").read_bytes() == ONE
    store.submit(make_request(Put("e", FACT, TWO, blob_id(ONE))))
    assert Path(f"{place.worktree}/.swarm/ledger/{FACT}").read_bytes() == TWO
    store.close()


def test_a_view_that_cannot_be_written_stops_no_writer(place: Place, make_request: Make) -> None:
    """A write is acknowledged whatever becomes of the view."""
    create_repository(place.home, Env())
    store = GitStore(place.home)
    views.turn_on(place, Env())
    shutil.rmtree(f"{place.worktree}/.swarm")
    Path(f"{place.worktree}/.swarm").write_text("in the way")
    store.submit(make_request(Put("e", FACT, ONE, None)))
    assert store.read(FACT) is not None
    store.close()


def test_turning_it_on_hides_it_from_git_once(place: Place) -> None:
    """In `.git/info/exclude`, for this repository alone."""
    views.turn_on(place, Env())
    views.turn_on(place, Env())
    assert Path(f"{place.common_dir}/info/exclude").read_text() == ".swarm/\n"
    assert not Path(f"{place.worktree}/.gitignore").exists()


def test_turning_it_off_leaves_what_a_hand_wrote(place: Place, make_request: Make) -> None:
    """All that is ours goes; what is not in the ledger stays, and is named."""
    create_repository(place.home, Env())
    store = GitStore(place.home)
    view = views.turn_on(place, Env())
    store.submit(make_request(Put("e", FACT, ONE, None), Put("f", OTHER, ONE, None)))
    Path(f"{view.root}/{FACT}").write_bytes(HAND)
    Path(f"{view.root}/note.md").write_bytes(HAND)
    assert views.turn_off(view) == [FACT, "note.md"]
    assert not Path(f"{view.root}/{OTHER}").exists()
    assert Path(f"{view.root}/{FACT}").read_bytes() == HAND
    assert views.find(place, Env()) is None
    store.close()


def test_a_worktree_shows_one_ledger(place: Place, tmp_path: Path) -> None:
    """Each of two would take in the other's files as a hand's; the message tells how to turn the first off."""
    other = place._replace(home=str(tmp_path / "an other"))
    view = views.turn_on(place, Env())
    with pytest.raises(BadInput, match=f"; `SWARM_HOME={re.escape(place.home)} swarm view off` turns that off"):
        views.turn_on(other, Env())
    assert views.find(other, Env()) is None
    assert views.turn_off(view) == [] and not Path(f"{place.worktree}/.swarm").exists()
    views.turn_on(other, Env())
    with pytest.raises(BadInput, match=f"; `SWARM_HOME='{re.escape(other.home)}' swarm view off` turns that off"):
        views.turn_on(place, Env())


def test_a_view_in_a_copy_of_a_repository_is_the_copy_s(place: Place, tmp_path: Path) -> None:
    """It came with the copy, so it may be turned on again."""
    views.turn_on(place, Env())
    for directory in (str(place.common_dir), str(place.worktree)):
        shutil.copytree(directory, f"{directory}-copy")
    common = f"{place.common_dir}-copy"
    copy = Place(f"{common}/swarm", common, common, f"{place.worktree}-copy")
    views.turn_on(copy, Env())
    assert Path(f"{copy.worktree}/.swarm/shown").read_text() == f"{copy.home}/views/main\n"


def test_a_view_wants_a_worktree(tmp_path: Path) -> None:
    """A bare repository has none, and says so."""
    with pytest.raises(BadInput, match="no worktree here"):
        views.turn_on(Place(str(tmp_path), str(tmp_path), str(tmp_path), None), Env())
