"""The guard: nothing lands on code paths that another session owns, by the path that is written.

Git's hooks ask it before a commit, a merge and a push; `swarm check --ref` asks it about a branch. What a lease
covers is decided on the paths that git is about to write, so it does not matter who stands where, or how they got
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from swarm_ledger.coherence import Lease
from swarm_ledger.lines import PREFIX, Line, covers, is_glob, overlap

from .landing import CodeRepository, Landing, Writes

__all__ = ["Guard", "Trespass", "refusal"]

_SHOWN = 3


class Trespass(NamedTuple):
    """A path that would be written although another session owns it, and by which commit (None: the one being made)."""

    path: str
    lease: Lease
    commit: str | None


class Guard:
    """Asks, for one session (None: for somebody who is none), whether what is about to land is theirs to write."""

    def __init__(
        self,
        repository: CodeRepository,
        leases: Iterable[Lease],
        session: str | None,
        head_of: Callable[[str], str | None] = lambda session: None,
    ) -> None:
        """`leases` are the live ones.

        `head_of` gives a revision that names what the worktree of a session has checked out, None where that is the
        worktree of the one who asks: what is in the owner's own history is not news to the owner, so whoever merges
        or pushes it takes nothing from them.
        """
        self._repository = repository
        self._leases = [lease for lease in leases if is_glob(lease.line) and lease.session != session]
        self._head_of = head_of

    @property
    def idle(self) -> bool:
        """Whether nobody else owns any code."""
        return not self._leases

    def commit(self, merged: Sequence[str], published: Sequence[str] = ()) -> list[Trespass]:
        """What the commit that is about to be made writes, and what comes with the heads that it merges.

        What a remote has or is in the history of `published` was landed before, and may be merged by anyone.
        """
        if self.idle:
            return []
        head = self._repository.known("HEAD")
        first = [head] if head else []
        found = self._meet([Landing(None, self._repository.staged([*first, *merged]))])
        if merged and self._meet([Landing(None, self._repository.staged(first))]):
            found += self._brought(merged, [*first, *published])
        return found

    def push(self, tips: Sequence[str], there: Sequence[str]) -> list[Trespass]:
        """What the commits that no remote has yet write; `there` is where the remote's branches are."""
        return [] if self.idle or not tips else self._brought(tips, there)

    def branch(self, tip: str, base: str) -> list[Trespass]:
        """What the commits of `tip` that `base` does not have write."""
        return [] if self.idle else self._brought([tip], [base], unpublished=False)

    def _brought(self, tips: Sequence[str], without: Sequence[str], *, unpublished: bool = True) -> list[Trespass]:
        found = self._meet(self._repository.brought(tips, without, unpublished=unpublished))
        return self._news(found)

    def _news(self, found: Sequence[Trespass]) -> list[Trespass]:
        """`found` without what the owner's own worktree has in its history."""
        by_owner: dict[str, list[str]] = {}
        for one in found:
            by_owner.setdefault(one.lease.session or "", []).append(one.commit or "")
        news: dict[str, frozenset[str]] = {}
        for session, commits in by_owner.items():
            revision = self._head_of(session)
            head = self._repository.known(revision) if revision else None
            news[session] = self._repository.unknown_to(head, commits) if head else frozenset(commits)
        return [one for one in found if one.commit in news[one.lease.session or ""]]

    def _meet(self, landings: Sequence[Landing]) -> list[Trespass]:
        written: Writes = {}
        for landing in landings:
            for path, whole in landing.writes.items():
                written[path] = whole or written.get(path, False)
        if not written:
            return []
        fold = self._repository.folds_case()
        owned = {
            path: [lease for lease in self._leases if _meets(lease.line, path, whole, fold)]
            for path, whole in written.items()
        }
        return [
            Trespass(path, lease, landing.commit)
            for landing in landings
            for path in landing.writes
            for lease in owned[path]
        ]


def refusal(found: Sequence[Trespass], what: str, ends: Callable[[Lease], float]) -> str:
    """What to tell who is refused: who owns which path, until when (`ends`, POSIX seconds), and what to do."""
    lines = []
    for lease in dict.fromkeys(one.lease for one in found):
        mine = [one for one in found if one.lease == lease]
        paths = list(dict.fromkeys(one.path for one in mine))
        named = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
        commits = list(dict.fromkeys(one.commit[:12] for one in mine if one.commit))
        by = f", written in {', '.join(commits[:_SHOWN])}{' …' if len(commits) > _SHOWN else ''}," if commits else ""
        until = datetime.fromtimestamp(ends(lease), UTC)
        verb = "is" if len(paths) == 1 else "are"
        lines.append(f"{named}{by} {verb} owned by {lease.agent} ({lease.line}) until {until:%Y-%m-%dT%H:%M:%SZ}; {what}.")
    owners = list(dict.fromkeys(one.lease.agent for one in found))
    line = found[0].lease.line
    lines.append(
        f"Leave it out, wait, ask (`swarm log --to {owners[0]} TEXT`) for a `swarm release` or `swarm handoff`, "
        f"or `swarm steal '{line}' --why TEXT`."
    )
    return "\n".join(lines)


def _meets(line: Line, path: str, whole: bool, fold: bool) -> bool:
    """Whether `line` covers `path` or, where that is a `whole` tree, something in it."""
    if fold:
        line, path = Line(line.casefold()), path.casefold()
    return covers(line, path) or (whole and overlap(line, Line(f"{PREFIX}{path}/**")))
