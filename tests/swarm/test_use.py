"""What was of use ranks a little higher: what counts, for whom, how long, and what becomes of it when files break."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarm import Agent, Env, Swarm
from swarm.record import Record
from swarm.use import UseIndex
from swarm_indexes.priors import Uses

from .conftest import Clock, Ran

Run = Callable[..., Ran]
DAY_S = 86_400.0


def use_of(agent: Agent, id: str) -> float:
    """The part of use in what `agent` is answered."""
    return {hit.id: hit.shares.get("use", 0.0) for hit in agent.recall("retry policy")}[id]


def first(agent: Agent, *, priors: bool = True) -> str:
    return agent.recall("retry policy", priors=priors)[0].id


@pytest.fixture
def old(ada: Agent, clock: Clock) -> str:
    """A fact that comes second for "retry policy", behind a newer one that is as good."""
    id = ada.remember("Retry policy of the client").id
    clock.now += 60
    ada.remember("Retry policy of the server")
    return id


def test_what_another_agent_was_shown_comes_first(ada: Agent, bob: Agent, old: str) -> None:
    """Of two that are as good, in any worktree; without priors the newer one stays first."""
    assert first(bob) != old
    ada.show(old)
    assert (first(bob), first(bob, priors=False) != old) == (old, True)
    assert use_of(bob, old) == 0.11


def test_being_found_is_no_use(ada: Agent, bob: Agent, old: str) -> None:
    """However often: else what is found would be found ever more."""
    for _ in range(40):
        bob.recall("retry policy")
        bob.about("retry")
    assert use_of(ada, old) == 0.0
    assert first(ada) != old


def test_an_agent_counts_once_a_day(ada: Agent, bob: Agent, clock: Clock, old: str) -> None:
    """One that reads in a circle raises nothing by it; another agent does, and another day."""
    for _ in range(40):
        ada.show(old)
    assert use_of(ada, old) == 0.11
    bob.show(old)
    assert use_of(ada, old) == pytest.approx(0.1158, abs=1e-4)
    clock.now += DAY_S
    ada.show(old)
    assert use_of(ada, old) == 0.12


def test_use_fades(ada: Agent, clock: Clock, old: str) -> None:
    """By half in seven days; after ten times that nothing is left."""
    ada.show(old)
    clock.now += 7 * DAY_S
    assert use_of(ada, old) == 0.055
    clock.now += 64 * DAY_S
    assert use_of(ada, old) == 0.0


def test_an_edit_and_a_citation_are_uses(ada: Agent, bob: Agent, old: str) -> None:
    """Of what is edited, and of what a new or another fact says that it rests on."""
    ada.edit(old, "Three times.")
    assert use_of(bob, old) == 0.11
    line = bob.log("the retry policy failed").id
    fact = ada.remember("Clients give up", cite=[line])
    assert use_of(bob, line) == 0.11
    bob.recall("clients give up")
    ada.supersede(fact.id, "Clients give up after a minute", cite=[line, old])
    assert use_of(bob, line) == 0.11
    bob.remember("Servers wait", cite=[old])
    assert use_of(bob, old) == pytest.approx(0.1158, abs=1e-4)


def test_a_use_that_was_refused_is_none(ada: Agent, bob: Agent, old: str) -> None:
    """The record has it, with its reason."""
    with pytest.raises(Exception, match="was not read in this session"):
        bob.edit(old, "Four times.")
    assert use_of(bob, old) == 0.0


def test_the_past_is_asked_without_what_came_later(ada: Agent, old: str) -> None:
    """--as-of answers as it would have then."""
    ada.show(old)
    assert not any("use" in hit.shares for hit in ada.recall("retry policy", as_of="2026-11-21"))


def test_without_the_record_the_order_is_that_of_the_question(
    ada: Agent, bob: Agent, old: str, memory_swarm: Callable[[str], Swarm], tmp_path: Path
) -> None:
    """It can be deleted, and so can its sum, which comes back."""
    ada.show(old)
    before = bob.recall("retry policy")
    for file in (tmp_path / "home/index").glob("use.db*"):
        file.unlink()
    assert memory_swarm("other").reader().recall("retry policy") == before
    for file in (tmp_path / "home/record").iterdir():
        file.unlink()
    assert memory_swarm("another").reader().recall("retry policy") == bob.recall("retry policy", priors=False)


# Many processes


def recalled(run: Run, *options: str) -> list[dict[str, Any]]:
    done = run("recall", "retry policy", "--json", *options)
    assert done.code == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def second(run: Run) -> str:
    """Of two new facts that are as good, the one that comes second."""
    run("remember", "--as=ada", "Retry policy of the client")
    run("remember", "--as=ada", "Retry policy of the server")
    return str(recalled(run)[1]["id"])


def test_processes_share_what_was_of_use(repository: Path, run: Run) -> None:
    """Sixteen that show an entry at once all count for another process."""
    id = second(run)
    shows = [
        subprocess.Popen([sys.executable, "-m", "swarm", f"--as=agent-{n}", "show", id], stdout=subprocess.DEVNULL)
        for n in range(16)
    ]
    assert [process.wait() for process in shows] == [0] * 16
    assert [hit["id"] == id for hit in recalled(run)] == [True, False]
    assert recalled(run, "--no-priors")[0]["id"] != id
    with Swarm.open(str(repository)) as swarm:
        assert swarm.use.of([id])[id].number == 16
    assert "use +0.14" in run("recall", "retry policy", "--explain").out


def test_what_was_shown_before_a_kill_counts(repository: Path, run: Run) -> None:
    """Killed while it reads and sums; who asks next is answered, and has every use that was answered."""
    ids = [run("remember", "--as=ada", f"Retry policy number {number}").id for number in range(8)]
    program = (
        "import sys\nfrom swarm import Swarm\nwith Swarm.open() as swarm:\n"
        "    reader = swarm.reader()\n"
        "    while True:\n"
        "        for id in sys.argv[1:]:\n"
        "            reader.show(id)\n            print(id, flush=True)\n            reader.recall('retry policy')\n"
    )
    rng = random.Random(7)
    shown = set()
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", program, *ids], stdout=subprocess.PIPE, text=True)
        assert process.stdout
        shown |= {process.stdout.readline().strip() for _ in range(rng.randrange(1, 60))}
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert shown
    assert shown <= {hit["id"] for hit in recalled(run) if "use" in hit["shares"]}
    assert run("recall", "retry policy").err == ""


# Damage


@pytest.mark.parametrize("how", ["zeros", "half", "text"])
def test_a_damaged_sum_is_made_anew_and_said_so(repository: Path, run: Run, how: str) -> None:
    """Once, with exit code 0 and the same answer."""
    run("show", second(run))
    before = run("recall", "retry policy", "--explain")
    assert "use +0.11" in before.out
    path = repository / ".git/swarm/index/use.db"
    data = path.read_bytes()
    path.write_bytes({"zeros": bytes(len(data)), "half": data[: len(data) // 2], "text": b"not a database"}[how])
    after = run("recall", "retry policy", "--explain")
    assert (after.code, after.out) == (0, before.out)
    assert after.err == (
        "swarm: the sum of the record of use was damaged or of another version; it has been made anew.\n"
    )
    assert run("recall", "retry policy").err == ""


@pytest.mark.parametrize("garbage", [b'{"at": "2026-11-21T10:5', b"\x00" * 300, b"\xff\xfe\n{}\n[1, 2]"])
def test_damaged_lines_are_left_out_and_said_so(repository: Path, run: Run, garbage: bytes) -> None:
    """Once, with exit code 0; a line that was torn costs no other."""
    id = second(run)
    (day,) = (repository / ".git/swarm/record").iterdir()
    with day.open("ab") as file:
        file.write(garbage)
    run("show", id)
    done = run("recall", "retry policy")
    assert (done.code, done.out.split()[1]) == (0, id)
    assert done.err.startswith("swarm: damaged lines of the record of use are left out: ")
    assert done.err.endswith(f" of {day}.\n")
    again = run("recall", "retry policy")
    assert (again.code, again.err) == (0, "")


def test_a_record_that_is_no_directory_counts_for_nothing(repository: Path, run: Run) -> None:
    """The question is answered, and it is said why nothing counts."""
    id = run("remember", "--as=ada", "Retry policy of the client").id
    record = repository / ".git/swarm/record"
    record.rename(record.with_name("aside"))
    record.write_text("")
    done = run("recall", "retry policy")
    assert (done.code, done.out.split()[1]) == (0, id)
    assert done.err.startswith("swarm: the record of use does not count, for it cannot be read: ")


# Against the obvious


def recount(record: Path, ids: list[str], since: str) -> dict[str, Uses]:
    """All lines of all files, each time."""
    last: dict[tuple[str, str, str], float] = {}
    for file in sorted(record.iterdir()):
        for line in file.read_text().splitlines() if file.stem >= since else ():
            said = json.loads(line)
            used = [*(said["ids"] if said["verb"] in ("show", "edit") else ()), *said.get("cited", ())]
            for id in used if said["outcome"] == "done" else ():
                last[id, file.stem, said.get("agent", "")] = datetime.fromisoformat(said["at"]).timestamp()
    return {
        id: Uses(len(mine), max(mine)) for id in ids if (mine := [at for (one, _, _), at in last.items() if one == id])
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_sum_is_what_counting_all_lines_gives(tmp_path: Path, seed: int) -> None:
    """Whatever is noted, deleted, put in the place of another file, and by whichever process it is summed."""
    rng, clock = random.Random(seed), Clock()
    env = Env(rng=rng, now=clock)
    ids = [f"fact-261121-{number:08d}" for number in range(6)]
    record = Record(str(tmp_path), env)
    files = tmp_path / "record"

    def opened() -> UseIndex:
        return UseIndex(str(tmp_path / "index" / "use.db"), str(files), env)

    indexes = [opened(), opened()]
    for _ in range(120):
        for _ in range(rng.choice([1, 1, 30, 200])):
            verb = rng.choice(["show", "recall", "edit", "remember", "own"])
            outcome = rng.choice(["done", "done", "NotFound"])
            some = rng.sample(ids, rng.randrange(3))
            record.add(verb, None, some, outcome, query='{"at": "x" ', cited=rng.sample(ids, rng.randrange(2)))
        clock.now += rng.choice([0, 0, 100, DAY_S, 20 * DAY_S])
        present = sorted(files.iterdir())
        if rng.random() < 0.1:
            rng.choice(present).unlink()
        today = files / f"{datetime.fromtimestamp(clock.now, UTC):%Y-%m-%d}.jsonl"
        if rng.random() < 0.1 and present[0].exists():
            os.replace(present[0], today)
        if rng.random() < 0.1:
            indexes[rng.randrange(2)].close()
        since = f"{datetime.fromtimestamp(clock.now - 70 * DAY_S, UTC):%Y-%m-%d}"
        for index in rng.sample(indexes, rng.randrange(3)):
            assert index.of(ids) == recount(files, ids, since)
            assert index.flaw == ""
