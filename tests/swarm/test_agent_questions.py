"""What agents ask, asked of a ledger made from the history of this project itself; git says what is right."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarm import Env, Filters, Swarm
from swarm.githistory import import_git_history

ROOT = Path(__file__).resolve().parents[2]
RENAMED, BEFORE = "bench/recall_scale.py", "bench/library.py"
DAY = 86_400.0


def ours(*arguments: str) -> list[str]:
    """Lines that git prints about this project; none where it is no repository."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


pytestmark = pytest.mark.skipif(
    ours("rev-parse", "--is-shallow-repository") != ["false"] or not ours("log", "-1", "--", BEFORE),
    reason="this copy of the project has no history",
)


class Clock:
    """Moved by the tests."""

    def __init__(self) -> None:
        self.now = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()  # a Tuesday

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Swarm:
    """The history of this project as a ledger."""
    path = str(tmp_path_factory.mktemp("history"))
    Swarm.init(path).close()
    swarm = Swarm.open(path, env=Env(now=clock))
    assert import_git_history(swarm, str(ROOT)).written > 100
    return swarm


def test_what_did_anyone_learn_about_a_file(swarm: Swarm) -> None:
    """Every commit that touched it, by its name of now, which it had not always; by the older name the same."""
    expected = set(ours("log", "--no-merges", "--format=%H", "--", RENAMED, BEFORE))
    for name in (RENAMED, BEFORE, f"file:{RENAMED}"):
        hits = swarm.reader().recall("", Filters(entity=name, kind="log"), k=1000)
        assert expected <= {hit.ref for hit in hits}
    assert expected <= {hit.ref for hit in swarm.reader().about(RENAMED, k=1000).mentions}


def test_who_touched_a_thing_last_and_why(swarm: Swarm) -> None:
    """The newest entry about the file is the last commit of it, and its text says why."""
    for path in ("indexes/swarm_indexes/lexical.py", "swarm/past.py", "bench/recall.py"):
        written = ours("log", "--no-merges", "--format=%at %H %s", "--", path)  # a rebase changes the order, not this
        _, last, subject = max(written, key=lambda line: int(line.split()[0])).split(" ", 2)
        hit = swarm.reader().recall("", Filters(entity=f"file:{path}", kind="log"), k=1)[0]
        assert hit.ref == last
        assert subject[:40] in hit.snippet


def test_what_happened_between_two_hours(swarm: Swarm) -> None:
    """All commits of those hours and no others, with words or without; in a question the hours weigh most."""
    at = datetime.fromisoformat(ours("log", "-1", "--format=%aI", "--", BEFORE)[0]).astimezone(UTC)
    low, high = at.replace(minute=0, second=0), at.replace(minute=59, second=59)
    listed = [line.partition(" ") for line in ours("log", "--no-merges", "--format=%H %aI")]
    wanted = {commit for commit, _, when in listed if low <= datetime.fromisoformat(when) <= high}
    span = f"at:[{low:%Y-%m-%dT%H:%M:%S} TO {high:%Y-%m-%dT%H:%M:%S}] kind:log"
    assert wanted == {hit.ref for hit in swarm.reader().recall(span, k=1000)}
    some = {hit.ref for hit in swarm.reader().recall(f"{span} test", k=1000)}
    assert some and some < wanted
    hits = swarm.reader().recall(f"what was tested on {low:%Y-%m-%d} between {low:%H:%M} and {high:%H:%M}?")
    assert max(hits, key=lambda hit: hit.shares.get("time", 0.0)).ref in wanted


def test_a_commit_is_found_by_what_its_first_line_says(swarm: Swarm) -> None:
    """Of forty subjects asked as they stand, nine of ten find their commit first."""
    listed = [line.partition(" ") for line in ours("log", "--no-merges", "--format=%H %s")][::4][:40]
    found = sum(swarm.reader().recall(subject, k=1)[0].ref == commit for commit, _, subject in listed)
    assert found >= 0.9 * len(listed)


def test_what_did_we_believe_on_tuesday(swarm: Swarm, clock: Clock) -> None:
    """The version of then, with its words of then, who had believed it and until when."""
    ada = swarm.join("ada")
    fact = ada.remember("How candidates are pruned", "By bounds of MaxScore, exactly.").id
    clock.now += 2 * DAY
    ada.edit(fact, "By the rarity of the terms that they hold.")
    (then,) = [hit for hit in ada.recall("how are candidates pruned?", as_of="last tuesday") if hit.id == fact]
    assert (then.snippet, then.by, then.until) == ("By bounds of MaxScore, exactly.", "ada", "2026-12-03T12:00:00Z")
    assert ada.recall("how are candidates pruned?")[0].snippet == "By the rarity of the terms that they hold."


def test_what_contradicts_this(swarm: Swarm) -> None:
    """Facts that give one key two values name each other, and are asked for by the key."""
    one = swarm.join("bob").remember("The pool holds a hundred rows", key="ranking.pool").id
    two = swarm.join("eve").remember("The pool holds three hundred entries, not fewer", key="ranking.pool").id
    assert {said.fact.id for said in swarm.reader().value_of("ranking.pool")} == {one, two}
    assert swarm.evidence.of([one])[one].rivals == (two,)


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text or "1970-01-01T00:00:00Z").timestamp()
