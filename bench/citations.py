"""`python -m bench.citations`: verdicts on cited code, whether they are right, and what they cost.

Sources are the sdists of real projects, fetched from the package index; `--dir` names where they and all else go.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from swarm import Agent, Swarm
from swarm.anchor import Text, anchor_of, fields_of, split_lines
from swarm.codetree import CodeTree, holders_of, texts
from swarm.judge import in_place, judge, settle
from swarm.verdicts import Evidence
from swarm_ledger.entry import Document
from swarm_ledger.ids import new_id, path_of
from swarm_ledger.store import Put
from swarm_ledger.times import format_time

from .row import Context, Outcome, Row
from .scripted import Scripted, wrong
from .slowly import Slow
from .sources import fetch, python_files
from .table import main as measure

__all__ = ["main"]

PROJECTS = ("werkzeug==3.1.3", "rich==13.9.4", "django==5.1.3")
RELEASES = (("werkzeug==2.3.8", "werkzeug==3.1.3"), ("rich==13.0.0", "rich==13.9.4"))
_CHUNK = 500


def scripted(context: Context) -> Outcome:
    """(a) Edits with known verdicts."""
    out, detail = Outcome(), {}
    right = copies = total = 0
    for project in PROJECTS:
        root, digest = fetch(project, context.directory)
        found = Scripted(python_files(root)).run(random.Random(7), context.pick(2000, 300))
        good, bad = sum(one.right for one in found), sum(one.wrong_copy for one in found)
        right, copies, total = right + good, copies + bad, total + len(found)
        share = good / len(found)
        out.add(f"(a) {project}: verdict and place right", "98 %", f"{share:.2%} of {len(found)}", share >= 0.98)
        missed = {" ".join(key): number for key, number in wrong(found).most_common()}
        detail[project] = {"sha256": digest, "wrong": missed}
    out.add("(a) moved, but to a wrong copy", "< 0.5 %", f"{copies / total:.2%} of {total}", copies / total < 0.005)
    out.detail = {"projects": detail}
    return out


def releases(context: Context) -> Outcome:
    """(b) Spans of an older release judged in a newer one, against an exhaustive search."""
    out = Outcome()
    agreed = untrue = total = 0
    missed: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for pair in RELEASES:
        files = [python_files(fetch(one, context.directory)[0], 1) for one in pair]
        old, new = ({path: split_lines(data) for path, data in one.items()} for one in files)
        were, now = ({path: Text(b"", lines) for path, lines in one.items()} for one in (old, new))
        held, holds = _holding(were), _holding(now)
        slow, rng = Slow(old, new), random.Random(11)
        for _ in range(context.pick(500, 60) // len(RELEASES)):
            path, first, last = _span(rng, old)
            anchor = anchor_of(path, were[path], first, last)
            anchor = settle(anchor, were[path], [(one, were[one]) for one in holders_of(anchor, held)])
            own = now.get(path)
            if own and in_place(anchor, own):
                said, place = "fresh", (path, first, last)
            else:
                found = judge(anchor, own, [(one, now[one]) for one in holders_of(anchor, holds)])
                said, place = found.verdict, found.place[:3] if found.place else None
            truth, right = slow.judge(path, first, last)
            verdicts[truth] += 1
            same = said == truth and (said not in ("fresh", "moved") or place == right)
            agreed, total = agreed + same, total + 1
            if not same:
                missed[f"{path}:{first}-{last} {truth} {right} said {said} {place}"] += 1
            if said in ("fresh", "moved") and place:
                window = new[place[0]][place[1] - 1 : place[2]]
                words = [line.split() for line in window]
                untrue += words != [line.split() for line in old[path][first - 1 : last]]
    share = agreed / total
    out.add("(b) agreement with an exhaustive search", "98 %", f"{share:.2%} of {total}", share >= 0.98)
    out.add("(b) fresh or moved, but the text is not there", "0", str(untrue), untrue == 0)
    out.detail = {"releases": RELEASES, "verdicts": verdicts, "disagreements": missed}
    return out


def many(context: Context) -> Outcome:
    """10,000 citations, checked first and again after a commit that touches 10 files."""
    root, digest = fetch(PROJECTS[-1], context.directory)
    repository, number = f"{context.directory}/many", context.pick(10_000, 1000)
    swarm, agent = _repository(root, repository)
    cited = _record(swarm, agent, number)
    swarm.close()
    first, found = _check(repository)
    _touch(repository, 10)
    again, later = _check(repository)
    command = [sys.executable, "-m", "swarm", "verify"]
    _touch(repository, 10)
    began = time.perf_counter()
    subprocess.run(command, cwd=repository, stdout=subprocess.DEVNULL, check=False)
    whole = time.perf_counter() - began
    out = Outcome(detail={"sha256": digest, "cited": cited, "first": found, "again": later})
    out.add(f"{number:,} citations checked first", "20 s", f"{first:.2f} s", first < 20)
    out.add("again after a commit that touches 10 files", "0.5 s", f"{again:.2f} s", again < 0.5)
    out.add("the same by `swarm verify`, with its start", "-", f"{whole:.2f} s")
    shutil.rmtree(f"{repository}/.git/swarm/index")
    cold, _ = _check(repository)
    out.add("the same where nothing is known of ledger and code", "20 s", f"{cold:.2f} s", cold < 20)
    return out


def pull(context: Context) -> Outcome:
    """`swarm check --since` on a pull request of 20 files, 1,000 facts, in a checkout of depth 1."""
    root, digest = fetch(PROJECTS[0], context.directory)
    repository = f"{context.directory}/pull"
    swarm, agent = _repository(root, repository)
    _record(swarm, agent, 1000, one_each=True)
    swarm.close()
    base = _git(repository, "rev-parse", "HEAD").strip()
    _touch(repository, 20)
    shallow, home = f"{context.directory}/shallow", f"{context.directory}/home"
    _git(context.directory, "clone", "--quiet", "--depth=1", f"file://{repository}", shallow)
    _git(shallow, "fetch", "--quiet", "--depth=1", "origin", base)
    ledger = f"{repository}/.git/swarm/ledger.git"
    times = []
    for _ in range(3):
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        _git(context.directory, "clone", "--quiet", "--bare", f"file://{ledger}", f"{home}/ledger.git")
        command = [sys.executable, "-m", "swarm", "check", "--ref", "HEAD", "--since", base, "--format", "github"]
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=shallow, env={**os.environ, "SWARM_HOME": home}, capture_output=True, check=False
        )
        times.append(time.perf_counter() - began)
    last = done.stdout.decode().splitlines()[-1] if done.stdout else done.stderr.decode()
    out = Outcome(detail={"sha256": digest, "seconds": times, "said": last})
    middle = sorted(times)[1]
    out.add("check --since: 20 files, 1,000 facts, depth 1", "2 s", f"{middle:.2f} s (median of 3)", middle < 2)
    return out


def _holding(texts: Mapping[str, Text]) -> dict[int, list[str]]:
    out: dict[int, list[str]] = {}
    for path, text in texts.items():
        for mark in set(text.dense):
            out.setdefault(mark, []).append(path)
    return out


def _span(rng: random.Random, tree: Mapping[str, list[bytes]]) -> tuple[str, int, int]:
    """A random span that neither begins nor ends with a blank line."""
    paths = [*tree]
    while True:
        path = rng.choice(paths)
        lines = tree[path]
        length = rng.choice((1, 2, 3, 5, 8, 12, 20, 30))
        if len(lines) >= length:
            first = rng.randint(1, len(lines) - length + 1)
            if lines[first - 1].strip() and lines[first + length - 2].strip():
                return path, first, first + length - 1


def _repository(root: str, repository: str) -> tuple[Swarm, Agent]:
    shutil.copytree(root, repository)
    _git(repository, "init", "--quiet", "--initial-branch=main")
    _git(repository, "add", "--all", "--force", ".")
    _git(repository, "commit", "--quiet", "-m", "begin")
    swarm = Swarm.init(repository)
    return swarm, swarm.join("ada")


def _record(swarm: Swarm, agent: Agent, number: int, *, one_each: bool = False) -> int:
    """Facts with `number` citations of random spans, ten a fact or one."""
    tree = CodeTree(swarm.cwd, "HEAD", swarm.facts)
    rng = random.Random(3)
    lines = {
        path: text.lines for path in tree.files if path.endswith(".py") if (text := tree.text(path)) and text.lines
    }
    spans = [_span(rng, lines) for _ in range(number)]
    held = {path: Text(b"", lines[path]) for path in {path for path, _, _ in spans}}
    anchors = [anchor_of(path, held[path], first, last) for path, first, last in spans]
    cites = []
    for anchor, paths in zip(anchors, tree.holders(anchors), strict=True):
        own = tree.text(anchor.path)
        assert own is not None
        cites.append({**fields_of(settle(anchor, own, texts(tree, paths))), "commit": tree.commit})
    tree.close()
    step, ops = 1 if one_each else 10, []
    moment = datetime.fromtimestamp(int(swarm.env.now()), UTC)
    for start in range(0, number, step):
        id = new_id("fact", moment, rng)
        about = {"id": id, "kind": "fact", "title": f"Fact {start}", "by": "ada", "at": format_time(moment), "rev": 1}
        ops.append(
            Put(id, path_of(id), Document.create({**about, "citations": cites[start : start + step]}, "").data, None)
        )
    for start in range(0, len(ops), _CHUNK):
        agent.commit("facts", ops[start : start + _CHUNK])
    return len(cites)


def _check(repository: str) -> tuple[float, Counter[str]]:
    began = time.perf_counter()
    with Swarm.open(repository) as swarm:
        evidence = Evidence(swarm)
        found = Counter(one.verdict for one in evidence.verdicts())
        evidence.close()
    return time.perf_counter() - began, found


def _touch(repository: str, number: int) -> None:
    """A commit that adds a line to the top of so many files and changes one in the middle."""
    rng = random.Random(os.urandom(8))
    paths = [
        path for path in _git(repository, "ls-files", "*.py").splitlines() if os.path.getsize(f"{repository}/{path}")
    ]
    for path in rng.sample(paths, number):
        with open(f"{repository}/{path}", "rb+") as file:
            lines = split_lines(file.read())
            lines[len(lines) // 2] += b"  # changed"
            file.seek(0)
            file.write(b"\n".join([b"# touched", *lines, b""]))
    _git(repository, "commit", "--quiet", "--all", "-m", "touch")


def _git(directory: str, *arguments: str) -> str:
    command = ["git", "-c", "user.name=u", "-c", "user.email=u@example.invalid", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True).stdout


ROWS: dict[str, Row] = {"scripted": scripted, "releases": releases, "many": many, "pull": pull}


def main() -> int:
    """Measure; the exit code of `table.main`."""
    return measure("citations", __doc__, ROWS)


if __name__ == "__main__":
    sys.exit(main())
