"""Agents at work on a clone of a repository, each in a worktree of its own."""

from __future__ import annotations

import os
import random
import re
from typing import TextIO

from swarm.progress import Progress
from swarm_ledger.errors import BadInput
from swarm_ledger.git import git
from swarm_ledger.refs import BRANCH

from . import crew, place, report
from .recount import Ack, fsck, recount

__all__ = ["run"]

SECONDS = 10.0
_AREAS = 6


def run(
    path: str | None = None,
    *,
    cwd: str = ".",
    processes: int = 16,
    seconds: float | None = None,
    writes: int | None = None,
    keep: bool = False,
    progress: TextIO | None = None,
    seed: int | None = None,
) -> report.Shown:
    """Have `processes` agents work on a clone of the repository of `path` for `seconds`, or for `writes` writes each.

    Without a path it is this program's own checkout, else the repository of `cwd`. Raises BadInput, StorageError.
    """
    crew.check(processes, seconds, writes)
    seconds = seconds if seconds or writes else SECONDS
    source = place.repository_of(path, os.path.abspath(cwd))
    with place.temporary(keep) as directory:
        root = f"{directory}/repository"
        files, names = _set_up(source, directory, processes, progress)
        acks, areas = _shared_pages(root, files)
        rng = random.Random(seed)
        shared = {"role": "work", "seconds": seconds, "writes": writes, "areas": areas, "files": files, "names": names}
        orders = [
            {**shared, "name": name, "worktree": f"{directory}/worktrees/{name}", "seed": rng.getrandbits(64)}
            for name in names
        ]
        bar = Progress(progress, f"{processes} processes", seconds or processes * (writes or 0))
        try:
            work = crew.run(f"{directory}/processes", orders, bar, seconds)
        finally:
            bar.close()
        work.did["page"] = len(acks)
        acks += [ack for one in work.acks for ack in one]
        ledger, clone = f"{root}/.git/swarm/ledger.git", f"{directory}/clone.git"
        outcome = report.Outcome(work, {"": recount(ledger, clone, acks)}, {"": fsck(ledger)})
        example = _example(clone, acks)
        what = f"{processes} processes, each in a worktree of its own, on a clone of {source}"
        parts = [
            f"{what}\n\n{report.table(outcome)}",
            f"The ledger:\n\n{report.tree(clone)}",
            f"One entry of it, whole:\n\n{example}",
        ]
        if keep:
            parts.append(f"Kept: {directory}")
    data = {"repository": source, "processes": processes, **report.figures(outcome), "entry": example}
    return report.Shown("\n\n".join(parts), {**data, "kept": directory if keep else None}, outcome.good)


def _set_up(source: str, directory: str, processes: int, progress: TextIO | None) -> tuple[list[str], list[str]]:
    """Clone `source` and add the worktrees; (files to cite from, names of agents and worktrees)."""
    names = [f"agent-{number:02d}" for number in range(1, processes + 1)]
    bar = Progress(progress, f"cloning {source}, adding {processes} worktrees", processes)
    try:
        repository = place.clone(source, f"{directory}/repository")
        files = place.text_files(repository)
        if not files:
            raise BadInput(f"{source} has no text file of a few lines to cite; give another path.")
        for number, name in enumerate(names, 1):
            place.add_worktree(repository, f"{directory}/worktrees/{name}")
            bar.update(number)
    finally:
        bar.close()
    return files, names


def _shared_pages(root: str, files: list[str]) -> tuple[list[Ack], list[str]]:
    """Make the ledger, and in it a page for each part of the repository: (acknowledgements, ids)."""
    from swarm.api import Swarm

    parts: dict[str, str] = {}
    for path in files:
        name = path.partition("/")[0] if "/" in path else "root"
        slug = re.sub("[^a-z0-9]+", " ", name.lower()).strip()
        if slug and len(parts) < _AREAS:
            parts.setdefault(slug, name)
    acks = []
    with Swarm.init(root) as swarm:
        agent = swarm.join("host", "prepares the demonstration")
        for slug in parts or {"root": ""}:
            body = "What the agents found out about this part of the repository.\n\n"
            written = agent.remember(slug, body, kind="entity", type="area")
            acks.append(Ack(written.id, written.path, written.version, str(written.commit)))
    return acks, [ack.id for ack in acks]


def _example(clone: str, acks: list[Ack]) -> str:
    """The last fact that was acknowledged, or what else there is, as the ledger holds it."""
    facts = [ack for ack in acks if ack.path.startswith("facts/")]
    ack = (facts or acks)[-1]
    return f"{ack.path}\n\n" + git(clone, "cat-file", "blob", f"{BRANCH}:{ack.path}").decode(errors="replace").rstrip()
