"""Tokens that keep a fleet in sync: our commands and agent-coherence, on its three workloads and the same real text.

The texts are versions of files in the history of a git repository (this one, or what the environment names as DATA).
A script says who reads and writes what, in the shape of that package's published benchmark, some rounds long. Sending
everything in full costs the whole text at each read and each write.

Ours are real commands in real worktrees, and every character that they print counts, notices and acknowledgements too:
`show` for what an agent has not read yet, `changes` for what it has. An agent writes by changing the file in the view
and `swarm ingest`, so what it sends are the lines that it takes out and puts in; a new entry is sent whole.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from swarm.cli import main as command
from swarm_ledger.git import environment

from . import venvs
from .row import Context, Outcome

__all__ = ["tokens"]

Step = tuple[str, str, str, str]
"""("write" or "read", agent, artifact, the text that is written)."""


class Workload(NamedTuple):
    """A shape of reads and writes. `least` is the saving to reach, `published` that of agent-coherence."""

    name: str
    least: int
    published: int
    versions: dict[str, int]
    """Artifact → how many of its versions a round needs."""
    begin: tuple[tuple[str, str], ...]
    """(agent, artifact) of the writes before the first round."""
    round: Callable[[int], Iterator[tuple[str, str, str]]]
    """(verb, agent, artifact) of the round of that number."""


def _planning(number: int) -> Iterator[tuple[str, str, str]]:
    if number:
        yield "write", "planner", "plan"
    for agent in ("researcher", "executor", "reviewer"):
        yield from [("read", agent, "plan")] * 4


def _review(number: int) -> Iterator[tuple[str, str, str]]:
    if number:
        yield "write", "setup", "codebase"
    others: list[str] = []
    for agent, writes in (("reviewer-a", "review-a"), ("reviewer-b", "review-b"), ("synthesizer", "final")):
        yield from [("read", agent, "codebase")] * 3
        for artifact in others:
            yield from [("read", agent, artifact)] * 2
        yield "write", agent, writes
        others.append(writes)


def _churn(number: int) -> Iterator[tuple[str, str, str]]:
    for agent in ("agent-a", "agent-b", "agent-c", "agent-d"):
        yield from [("read", agent, "state")] * 2
        yield "write", agent, "state"


WORKLOADS = (
    Workload("planning, 4 agents, 12:1", 85, 69, {"plan": 1}, (("planner", "plan"),), _planning),
    Workload(
        "code review, 3 agents, 8:3",
        70,
        47,
        dict.fromkeys(("codebase", "review-a", "review-b", "final"), 1),
        (("setup", "codebase"),),
        _review,
    ),
    Workload("high churn, 4 agents, 8:4", 55, 29, {"state": 4}, (("setup", "state"),), _churn),
)


def tokens(context: Context) -> Outcome:
    """What both cost on each workload, one pass long and as many rounds as there are versions of real text."""
    out = Outcome()
    source = os.environ.get("DATA") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    histories = _histories(source)
    for workload in WORKLOADS:
        texts = _assign(workload, histories)
        longest = min((len(texts[name]) - 1) // number for name, number in workload.versions.items())
        for rounds in dict.fromkeys((1, context.pick(min(longest, 8), min(longest, 2)))):
            script = list(_script(workload, texts, rounds))
            ours, counted = _play(script, f"{context.directory}/{workload.name[:4]}-{rounds}")
            answer = venvs.run("peer_tokens.py", {"script": script, "texts": [text for _, text in ours]})
            _add(out, workload, rounds, script, ours, answer, counted, last=rounds > 1)
    return out


def _add(
    out: Outcome,
    workload: Workload,
    rounds: int,
    script: Sequence[Step],
    ours: Sequence[tuple[str, str]],
    answer: dict[str, object],
    counted: dict[str, int],
    *,
    last: bool,
) -> None:
    peer, costs = answer["peer"], answer["texts"]
    if not isinstance(peer, dict) or not isinstance(costs, list):
        raise RuntimeError(f"the peer answered {answer!r}")
    by_kind: dict[str, int] = {}
    for (kind, _), cost in zip(ours, costs, strict=True):
        by_kind[kind] = by_kind.get(kind, 0) + cost
    baseline, mine, theirs = peer["baseline"], sum(by_kind.values()), peer["tokens"]
    saved, saved_by_peer = 100 * (1 - mine / baseline), 100 * (1 - theirs / baseline)
    label = f"{workload.name}, {rounds} round{'s' if rounds > 1 else ''}"
    out.add(
        f"tokens saved, {label}",
        f"{workload.least} %" if last else "shown",
        f"{saved:.1f} %; agent-coherence {saved_by_peer:.1f} % (published {workload.published})",
        saved >= workload.least if last else None,
    )
    whole = 100 * (1 - (mine - by_kind["written"] + peer["writes"]) / baseline)
    out.add(f"the same with every write sent whole, {label}", "shown", f"{whole:.1f} %")
    out.detail[label] = {
        "baseline": baseline,
        "ours": {"tokens": mine, **by_kind, **counted},
        "agent-coherence": peer,
        "reads": sum(step[0] == "read" for step in script),
        "writes": sum(step[0] == "write" for step in script),
        "sha256 of the script": hashlib.sha256(repr(list(script)).encode()).hexdigest(),
    }


def _histories(repository: str) -> list[tuple[str, list[str]]]:
    """(path, its different texts, oldest first) of the text files of `repository`, the longest histories first."""
    log = _git(repository, "log", "--reverse", "--format=%x00%H", "--name-only", "--diff-filter=AM", "HEAD")
    commits: dict[str, list[str]] = {}
    for block in log.split("\0")[1:]:
        commit, *paths = block.split()
        for path in paths:
            if path.endswith((".md", ".py")):
                commits.setdefault(path, []).append(commit)
    out = []
    for path in sorted(commits, key=lambda path: (-len(commits[path]), path))[:12]:
        texts: list[str] = []
        for commit in commits[path]:
            text = _git(repository, "show", f"{commit}:{path}").strip() + "\n"
            if len(text) > 2000 and text not in texts:
                texts.append(text)
        out.append((path, texts))
    return sorted(out, key=lambda found: -len(found[1]))


def _assign(workload: Workload, histories: Sequence[tuple[str, list[str]]]) -> dict[str, list[str]]:
    """For each artifact the versions of a file; those that are written most get the longest histories."""
    wanted = sorted(workload.versions, key=lambda name: -workload.versions[name])
    return {name: histories[number][1] for number, name in enumerate(wanted)}


def _script(workload: Workload, texts: dict[str, list[str]], rounds: int) -> Iterator[Step]:
    left = {name: iter(found) for name, found in texts.items()}
    for agent, artifact in workload.begin:
        yield "write", agent, artifact, next(left[artifact])
    for number in range(rounds):
        for verb, agent, artifact in workload.round(number):
            yield verb, agent, artifact, next(left[artifact]) if verb == "write" else ""


def _play(script: Sequence[Step], directory: str) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """([(what for, text that passes between an agent and the ledger)], counts of notices and mistakes)."""
    fleet = _Fleet(directory, sorted({step[1] for step in script}))
    said: list[tuple[str, str]] = []
    counted = {"notices": 0, "mistaken notices": 0, "shown again": 0}
    known: dict[tuple[str, str], str] = {}
    current: dict[str, str] = {}
    for verb, agent, artifact, text in script:
        id = f"plan-{artifact}"
        if verb == "write" and artifact not in current:
            said += [
                ("written", text),
                ("acknowledged", fleet.run(agent, "remember", artifact, "--kind=plan", f"--body={text}")),
            ]
        elif verb == "write":
            sent = "".join(
                line[1:]
                for line in list(difflib.unified_diff(*_lines(current[artifact], text), n=0))[2:]
                if line[0] in "-+"
            )
            said += [("written", f"plan/{artifact}.md\n{sent}"), ("acknowledged", fleet.save(agent, id, text))]
        elif (agent, artifact) not in known:
            said.append(("shown", fleet.run(agent, "show", id)))
            known[agent, artifact] = current[artifact]
        else:
            answer = fleet.run(agent, "changes")
            said.append(("changes", answer))
            for other in {name for who, name in known if who == agent}:
                if not re.search(rf"^plan-{other}\b", answer, re.MULTILINE):
                    continue
                counted["notices"] += 1
                counted["mistaken notices"] += known[agent, other] == current[other]
                if f"`swarm show plan-{other}`" in answer:
                    said.append(("shown", fleet.run(agent, "show", f"plan-{other}")))
                    counted["shown again"] += 1
                known[agent, other] = current[other]
        if verb == "write":
            current[artifact] = known[agent, artifact] = text
        elif known[agent, artifact] != current[artifact]:
            raise RuntimeError(f"{agent} was not told that {artifact} changed")
    fleet.close()
    return said, counted


class _Fleet:
    """A repository with a ledger, and a worktree for each agent, in which it runs commands."""

    def __init__(self, directory: str, agents: Sequence[str]) -> None:
        self._directory, self._before = directory, os.getcwd()
        os.makedirs(directory)
        main = f"{directory}/main"
        _git(directory, "init", "--quiet", "main")
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
        _git(main, *identity, "commit", "--quiet", "--allow-empty", "-m", "begin")
        os.chdir(main)
        self._command("init")
        for agent in agents:
            _git(main, "worktree", "add", "--quiet", "--detach", f"{directory}/{agent}")
            os.chdir(f"{directory}/{agent}")
            self._command("join", agent)
            self._command("view", "on")

    def run(self, agent: str, *arguments: str) -> str:
        """What the command prints to `agent`."""
        os.chdir(f"{self._directory}/{agent}")
        return self._command(*arguments)

    def save(self, agent: str, id: str, text: str) -> str:
        """Put `text` below the front matter of the entry's file in the agent's view, and take it in."""
        os.chdir(f"{self._directory}/{agent}")
        path = f".swarm/ledger/plan/{id.removeprefix('plan-')}.md"
        with open(path, encoding="utf-8") as file:
            head = re.match(r"---\n.*?\n---\n\n?", file.read(), re.DOTALL)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write((head[0] if head else "") + text)
        os.replace(f"{path}.new", path)
        return self._command("ingest")

    def close(self) -> None:
        """Go back to where it began."""
        os.chdir(self._before)

    def _command(self, *arguments: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = command(arguments)
        if code:
            raise RuntimeError(f"swarm {arguments[0]} ended with {code}: {printed.getvalue()}")
        return printed.getvalue()


def _lines(*texts: str) -> list[list[str]]:
    return [text.splitlines(keepends=True) for text in texts]


def _git(directory: str, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment(), capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout
