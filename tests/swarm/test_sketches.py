"""Which facts say the same: the file of sketches against what the facts say, and what may become of it."""

from __future__ import annotations

import errno
import os
import random
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import Agent, Refused, Swarm
from swarm.saying import SHARED, alike, said_in, sketch, words
from swarm.sketches import Sketches
from swarm_ledger.env import Env
from swarm_ledger.filelock import FileLock
from swarm_ledger.ids import EntryId

from ..children import exiting

WORDS = [f"{first}{last}" for first in ("gate", "proxy", "token", "cache") for last in ("way", "ing", "less", "ful")]
BODY = "The limit is read from TTL when a session is opened and never again, which the mobile client relies on."


def ask(of: Swarm | Sketches, text: str) -> list[str]:
    sketches = of.sketches if isinstance(of, Swarm) else of
    return sketches.like(text, words(text))


def expected(swarm: Swarm, text: str) -> list[str]:
    """What a look at every fact finds."""
    few, found = sketch(text), []
    for path, _ in swarm.store.paths("facts/"):
        version = swarm.store.read(path)
        assert version is not None
        said = said_in(version.text)
        shared = len({*few} & {*sketch(said)})
        if shared >= min(SHARED, len(few)) and alike(words(text), words(said)) and b"superseded_by" not in version.text:
            found.append(path.rsplit("/", 1)[1].removesuffix(".md"))
    return sorted(found)


def test_what_is_found_is_what_a_look_at_each_fact_finds(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after edits, retractions, and facts in the place of others, in a file that grew many times."""
    monkeypatch.setattr("swarm.sketches._LEAST", 2)
    rng, swarm, texts, ids = random.Random(5), ada._swarm, list[str](), list[EntryId]()
    sizes = set()
    for step in range(60):
        text = rng.choice(texts) if texts and rng.random() < 0.3 else " ".join(rng.choices(WORDS, k=12))
        texts.append(text)
        match rng.randrange(6) if len(ids) > 5 else 0:
            case 4:
                ada.retract(ids.pop(rng.randrange(len(ids))), "wrong")
            case 5:
                id = ids.pop(rng.randrange(len(ids)))
                ids.append(ada.supersede(id, f"Said {step}", text, force="a test").id)
            case 3:
                ada.edit(rng.choice(ids), text)
            case _:
                ids.append(ada.remember(f"Said {step}", text, force="a test").id)
        asked = f"Said {step}\n{rng.choice(texts)}"
        assert sorted(ask(swarm, asked)) == expected(swarm, asked)
        sizes.add(os.path.getsize(f"{swarm.place.home}/index/sketches"))
    assert len(sizes) > 3


def test_what_others_wrote_is_found_at_once(memory_swarm: Callable[[str], Swarm]) -> None:
    """By an object that has looked before, too."""
    one, other = memory_swarm("one"), memory_swarm("other")
    assert ask(other, BODY) == []
    id = one.join("ada").remember("The limit", BODY).id
    assert ask(other, f"The limit\n{BODY}") == [id]


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "rubbish", "head"])
def test_a_file_that_is_damaged_or_gone_comes_back(ada: Agent, damage: str) -> None:
    """At the latest for whoever asks next."""
    swarm = ada._swarm
    id = ada.remember("The limit", BODY).id
    text = f"The limit\n{BODY}"
    assert ask(swarm, text) == [id]
    path = Path(swarm.place.home, "index/sketches")
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        kinds = {"empty": b"", "cut": data[:300], "rubbish": b"\xff" * len(data), "head": b"\0" * 20 + data[20:]}
        path.write_bytes(kinds[damage])
    ask(swarm, text)
    assert ask(swarm, text) == [id]


def test_a_slot_that_a_crash_left_harms_nobody(ada: Agent) -> None:
    """Of no fact, or of one that says something else."""
    swarm = ada._swarm
    other = ada.remember("Cookies are renewed", "By the middleware at each request, whatever the session's limit.").id
    text = f"The limit\n{BODY}"
    ask(swarm, text)
    day, drawn = other.split("-")[1:]
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    number = int(day) << 40 | sum(letters.index(one) << 5 * (7 - at) for at, one in enumerate(drawn))
    path = f"{swarm.place.home}/index/sketches"
    with open(path, "r+b") as file:
        buckets = struct.unpack_from("<I", file.read(12), 8)[0]
        for few in sketch(text):
            file.seek(256 + few % buckets * 64)
            file.write(struct.pack("<IQIQ", few, number, few, 2**63 + 5))
    assert ask(swarm, text) == []
    id = ada.remember("The limit", BODY).id
    assert ask(swarm, text) == [id]


def test_it_is_made_anew_after_a_boot(ada: Agent) -> None:
    """What a power loss kept of it nobody knows: here a slot is gone and the head is there."""
    swarm = ada._swarm
    id = ada.remember("The limit", BODY).id
    text, path = f"The limit\n{BODY}", f"{swarm.place.home}/index/sketches"
    assert ask(swarm, text) == [id]
    with open(path, "r+b") as file:
        file.seek(256)
        file.write(b"\0" * (os.path.getsize(path) - 256))
    assert ask(swarm, text) == []
    made = os.stat(path).st_ino
    assert ask(Sketches(path, swarm.store, Env()), text) == []
    assert os.stat(path).st_ino == made
    assert ask(Sketches(path, swarm.store, Env(boot=lambda: "another")), text) == [id]


def test_nobody_waits_for_another_that_takes_in(ada: Agent, bob: Agent) -> None:
    """What is there already is found; the rest is taken in once the lock is free."""
    swarm = bob._swarm
    first = ada.remember("The limit", BODY).id
    assert ask(swarm, f"The limit\n{BODY}") == [first]
    lock = FileLock(f"{swarm.place.home}/index/sketches.lock")
    assert lock.try_acquire()
    second = ada.remember("Cookies", "They are renewed by the middleware at each request of a browser.").id
    renewed = "Cookies\nThey are renewed by the middleware at each request of a browser."
    before = Path(swarm.place.home, "index/sketches").read_bytes()
    assert ask(swarm, renewed) == [second]
    assert ask(swarm, f"The limit\n{BODY}") == [first]
    assert Path(swarm.place.home, "index/sketches").read_bytes() == before
    lock.close()
    assert ask(swarm, renewed) == [second]
    assert Path(swarm.place.home, "index/sketches").read_bytes() != before


def test_while_another_makes_the_file_all_facts_are_looked_at(ada: Agent, bob: Agent) -> None:
    """After a patience: one that was stopped at it lets nothing through, and holds nobody up for long."""
    id = ada.remember("The limit", BODY).id
    path = f"{bob._swarm.place.home}/index/sketches"
    os.unlink(path)
    lock = FileLock(f"{path}.lock")
    assert lock.try_acquire()
    clock = iter(range(10**6))
    env = bob._swarm.env._replace(monotonic=lambda: float(next(clock)), sleep=lambda seconds: None)
    assert ask(Sketches(path, bob._swarm.store, env), f"The limit\n{BODY}") == [id]
    assert next(clock) < 20
    assert not os.path.exists(path)
    lock.close()


@pytest.mark.parametrize("way", ["directory", "fifo", "full", "unwritable"])
def test_a_file_that_cannot_be_used_neither_stops_a_write_nor_lets_one_through(
    ada: Agent, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """All facts are looked at then; where the cause is gone the file is there again."""
    swarm = ada._swarm
    path = Path(swarm.place.home, "index/sketches")
    first = ada.remember("The limit", BODY).id
    path.unlink()

    def fails(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC if way == "full" else errno.EROFS, way)

    if way == "directory":
        path.mkdir()
    elif way == "fifo":
        os.mkfifo(path)
    elif way == "full":
        monkeypatch.setattr(swarm.env.disk, "create", fails, raising=False)
    else:
        monkeypatch.setattr(FileLock, "try_acquire", fails)
    assert ask(swarm, f"The limit\n{BODY}") == [first]
    assert ask(swarm, f"The limit\n{BODY}") == [first]
    with pytest.raises(Refused, match=first):
        ada.remember("The limit", BODY)
    other = ada.remember("Cookies are renewed", "By the middleware at each request, whatever the session's limit.").id
    monkeypatch.undo()
    if way == "directory":
        path.rmdir()
    assert ask(swarm, "Cookies are renewed\nBy the middleware at each request, whatever the session's limit.") == [
        other
    ]
    assert ask(swarm, f"The limit\n{BODY}") == [first]
    assert path.is_file()


def test_a_file_is_made_once(ada: Agent) -> None:
    """Whoever made it and whoever comes later believe it."""
    swarm = ada._swarm
    ada.remember("The limit", BODY)
    path = f"{swarm.place.home}/index/sketches"
    os.unlink(path)
    sketches = Sketches(path, swarm.store, Env())
    ask(sketches, BODY)
    with open(path, "rb") as made:  # held open, so that no other gets its number
        ask(sketches, BODY)
        ask(Sketches(path, swarm.store, Env()), BODY)
        assert os.stat(path).st_ino == os.fstat(made.fileno()).st_ino


def test_a_file_that_is_cut_off_under_everybody_lets_nothing_through(ada: Agent) -> None:
    """Whoever finds it so looks at all facts; the next makes it anew."""
    swarm = ada._swarm
    id = ada.remember("The limit", BODY).id
    path = f"{swarm.place.home}/index/sketches"
    for size in (256, 256 + 64, 300, 200):
        assert ask(swarm, f"The limit\n{BODY}") == [id]
        whole = os.path.getsize(path)
        os.truncate(path, size)
        assert ask(swarm, f"The limit\n{BODY}") == [id]
        assert ask(swarm, f"The limit\n{BODY}") == [id]
        assert os.path.getsize(path) == whole


def test_facts_that_no_longer_stand_keep_out_none_that_do(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the same was said and superseded before."""
    monkeypatch.setattr("swarm.sketches._COMMON", 6)
    monkeypatch.setattr("swarm.sketches._LIKE", 2)
    swarm = ada._swarm
    id = ada.remember("The limit", BODY).id
    for _ in range(20):
        id = ada.supersede(id, "The limit", BODY, force="a test").id
        assert ask(swarm, f"The limit\n{BODY}") == [id]
    swarm.sketches.forget()
    assert ask(swarm, f"The limit\n{BODY}") == [id]
    standing = ada.remember("Cookies", "They are renewed by the middleware at each request of a browser.").id
    for _ in range(4):
        gone = ada.remember(
            "Cookies", "They are renewed by the middleware at each request of a browser.", force="a test"
        )
        ada.retract(gone.id, "said before")
    assert ask(swarm, "Cookies\nThey are renewed by the middleware at each request of a browser.") == [standing]


def test_what_many_facts_share_tells_nothing_and_costs_little(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number is kept of so many facts at most; those that share no more than such are not looked at."""
    monkeypatch.setattr("swarm.sketches._COMMON", 3)
    for number in range(8):
        ada.remember(f"Build {number}", "The nightly build went through without any warning at all.", force="a test")
    swarm = ada._swarm
    ask(swarm, "anything of three words")
    size = os.path.getsize(f"{swarm.place.home}/index/sketches")
    data = Path(swarm.place.home, "index/sketches").read_bytes()[256:size]
    taken = [
        slot for at in range(0, len(data), 64) for slot in struct.iter_unpack("<IQ", data[at : at + 60]) if slot[1]
    ]
    assert max(sum(number == few for number, _ in taken) for few, _ in taken) == 3


def test_a_forked_child_has_a_lock_of_its_own(ada: Agent) -> None:
    """One that it shared with its parent would keep nobody out."""
    swarm = ada._swarm
    ask(swarm, BODY)
    assert swarm.sketches._lock.try_acquire()
    pid = os.fork()
    if not pid:
        with exiting():
            ada.remember("The limit", BODY, force="a test")
            before = Path(swarm.place.home, "index/sketches").read_bytes()
            assert len(ask(swarm, f"The limit\n{BODY}")) == 1
            assert Path(swarm.place.home, "index/sketches").read_bytes() == before  # the parent has the lock
    assert os.waitpid(pid, 0)[1] == 0
    swarm.sketches._lock.release()


def test_a_child_forked_while_another_thread_asks_waits_for_nobody(ada: Agent) -> None:
    """The thread that held the one is not in the child."""
    swarm = ada._swarm
    id = ada.remember("The limit", BODY).id
    swarm.sketches._mutex.acquire()
    pid = os.fork()
    if not pid:
        with exiting():
            signal.alarm(20)
            assert ask(swarm, f"The limit\n{BODY}") == [id]
    swarm.sketches._mutex.release()
    assert os.waitpid(pid, 0)[1] == 0
