"""The guard: nothing lands on code paths that another session owns, by the path that is written.

Git's hooks ask it before a commit, a merge and a push; `swarm check --ref` asks it about a branch. What a lease
covers is decided on the paths that git is about to write, so it does not matter who stands where, or how they got
there.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from swarm_ledger.errors import BadInput
from swarm_ledger.lines import PREFIX, Line, covers, is_glob, overlap, parse_line

from .landing import CodeRepository, Landing, Writes

if TYPE_CHECKING:
    from swarm_ledger.directory import Directory
    from swarm_ledger.env import Env
    from swarm_ledger.place import Place

    from .session import Sessions

__all__ = ["Guard", "LiveLease", "Trespass", "heads", "refusal", "told"]

_SHOWN = 3


class LiveLease(NamedTuple):
    """A lease that has not run out."""

    line: Line
    agent: str
    session: str
    until: float
    """POSIX seconds."""

    @classmethod
    def all(cls, directory: Directory, env: Env) -> list[LiveLease]:
        """Those of `directory`."""
        booted = env.now() - directory.now()
        return [cls(one.line, one.agent, one.session or "", booted + one.deadline) for one in directory.leases()]

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.until, UTC)
        return f"owned by {self.agent} ({self.line}) until {until:%Y-%m-%dT%H:%M:%SZ}"


class Trespass(NamedTuple):
    """A path that would be written although another session owns it, and by which commit (None: the one being made)."""

    path: str
    lease: LiveLease
    commit: str | None


class Guard:
    """Asks, for one session (None: for somebody who is none), whether what is about to land is theirs to write."""

    def __init__(
        self,
        repository: CodeRepository,
        leases: Iterable[LiveLease],
        session: str | None,
        head_of: Callable[[str], str | None] = lambda session: None,
    ) -> None:
        """`head_of` gives a revision that names what the worktree of a session has checked out, None where that is the
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
        if self.idle:
            return []
        if self._repository.is_shallow():  # where history is cut off, its first commits seem to write everything
            return self._news(self._meet([self._repository.between(base, tip)]))
        return self._brought([tip], [base], unpublished=False)

    def _brought(self, tips: Sequence[str], without: Sequence[str], *, unpublished: bool = True) -> list[Trespass]:
        return self._news(self._meet(self._repository.brought(tips, without, unpublished=unpublished)))

    def _news(self, found: Sequence[Trespass]) -> list[Trespass]:
        """`found` without what the owner's own worktree has in its history."""
        by_owner: dict[str, list[str]] = {}
        for one in found:
            by_owner.setdefault(one.lease.session, []).append(one.commit or "")
        news: dict[str, frozenset[str]] = {}
        for session, commits in by_owner.items():
            revision = self._head_of(session)
            head = self._repository.known(revision) if revision else None
            news[session] = self._repository.unknown_to(head, commits) if head else frozenset(commits)
        return [one for one in found if one.commit in news[one.lease.session]]

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


def refusal(found: Sequence[Trespass], what: str) -> str:
    """What to tell who is refused: who owns which path, until when, and what to do."""
    lines = []
    for lease in dict.fromkeys(one.lease for one in found):
        mine = [one for one in found if one.lease == lease]
        paths = list(dict.fromkeys(one.path for one in mine))
        commits = list(dict.fromkeys(one.commit[:12] for one in mine if one.commit))
        by = f", written in {_some(commits)}," if commits else ""
        lines.append(f"{_some(paths)}{by} {'is' if len(paths) == 1 else 'are'} {lease}; {what}.")
    lease = found[0].lease
    lines.append(
        f"Leave it out, wait, ask (`swarm log --to {lease.agent} TEXT`) for a `swarm release` or `swarm handoff`, "
        f"or `swarm steal {shlex.quote(lease.line)} --why TEXT`."
    )
    return "\n".join(lines)


def heads(sessions: Sessions, place: Place) -> Callable[[str], str | None]:
    """Gives the revision that the worktree of a session has checked out; None where that is the worktree of `place`."""
    here = os.path.realpath(place.git_dir) if place.git_dir else None

    def head(session: str) -> str | None:
        git_dir = sessions.git_dir(session)
        if git_dir is None or git_dir == here:
            return None
        return "main-worktree/HEAD" if git_dir == place.common_dir else f"worktrees/{os.path.basename(git_dir)}/HEAD"

    return head


def told(lines: Iterable[str]) -> list[LiveLease]:
    """The leases that `swarm leases --json` printed, on whatever machine. Raises BadInput."""
    import json

    found = []
    for number, text in enumerate(lines, 1):
        try:
            data = json.loads(text)
            one = LiveLease(parse_line(data["line"]), data["agent"], data["session"], float(data["until"]))
            str(one)  # raises for a time that no calendar has
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, BadInput):
            raise BadInput(f"line {number} of the leases is not of `swarm leases --json`: {text[:60]!r}.") from None
        found.append(one)
    return found


def _some(names: Sequence[str]) -> str:
    """The first of `names`, and how many more there are."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _meets(line: Line, path: str, whole: bool, fold: bool) -> bool:
    """Whether `line` covers `path` or, where that is a `whole` tree, something in it."""
    if fold:
        line, path = Line(line.casefold()), path.casefold()
    return covers(line, path) or (whole and overlap(line, Line(f"{PREFIX}{path}/**")))
