"""What is about to land in the code repository: which paths a commit, a merge, a push or a branch writes.

A commit writes a path where it has what no parent of it has. So a merge writes what it mixes; what it takes over
from a parent was written by the commits that it brings. A rename writes both of its names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from swarm_ledger.errors import BadInput, Damaged, NotFound

__all__ = ["CodeRepository", "Landing", "Writes"]

Writes = dict[str, bool]
"""Path from the repository's top → whether it is a submodule, which stands for all that is below it."""

_RAW = ("-r", "--raw", "-z", "--no-renames", "--ignore-submodules=none", "--no-relative")
_SUBMODULE = b"160000"


class Landing(NamedTuple):
    """One commit that would land; `commit` is None for the one that is about to be made."""

    commit: str | None
    writes: Writes


class CodeRepository:
    """The repository that agents work in, as git sees it from `cwd` in `environment`.

    A hook passes on its own environment: git told it there which index and which repository it is about.
    """

    def __init__(self, cwd: str, environment: Mapping[str, str]) -> None:
        self._cwd = cwd
        self._environment = {**environment, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}

    def commit(self, revision: str) -> str:
        """The id of the commit that `revision` names. Raises NotFound."""
        found = self.known(revision)
        if found is None:
            raise NotFound(f"{revision[:80]!r} names no commit of this repository; `git branch -a` lists branches.")
        return found

    def known(self, revision: str) -> str | None:
        """The id of the commit that `revision` names, or None."""
        if "\0" in revision:
            return None
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return self._run(arguments, expected=(0, 1, 128))[1].decode().strip() or None

    def folds_case(self) -> bool:
        """Whether two spellings of a path that differ in case are one file here."""
        code, out = self._run(("config", "--type=bool", "--get", "core.ignorecase"), expected=(0, 1))
        return code == 0 and out.strip() == b"true"

    def staged(self, parents: Sequence[str]) -> Writes:
        """What the index holds that none of `parents` holds; without a parent, everything in it."""
        found: Writes | None = None
        for parent in parents or [self._run(("hash-object", "-t", "tree", "--stdin"))[1].decode().strip()]:
            out = self._run(("diff-index", "--cached", "--ita-invisible-in-index", *_RAW, parent, "--"))[1]
            writes = _parse(out)[0].writes
            found = writes if found is None else {path: found[path] or writes[path] for path in found if path in writes}
        return found or {}

    def brought(self, tips: Iterable[str], without: Iterable[str], *, unpublished: bool) -> list[Landing]:
        """The commits that `tips` reach and `without` do not, each with what it writes.

        `unpublished` leaves out what a remote has, as far as the last fetch or push told.
        """
        commits = self._list([*tips, *(f"^{name}" for name in without)], ["--not", "--remotes"] if unpublished else [])
        if not commits:
            return []
        out = self._run(("diff-tree", "--stdin", "--root", "-c", *_RAW), stdin="\n".join([*commits, ""]).encode())[1]
        return [landing for landing in _parse(out) if landing.commit]

    def between(self, base: str, tip: str) -> Landing:
        """What `tip` has and `base` has not, as if one commit had written it."""
        return Landing(tip, _parse(self._run(("diff-tree", *_RAW, base, tip, "--"))[1])[0].writes)

    def is_shallow(self) -> bool:
        """Whether history is cut off here, as in a clone of some depth."""
        return self._run(("rev-parse", "--is-shallow-repository"))[1].strip() == b"true"

    def unknown_to(self, head: str, commits: Sequence[str]) -> frozenset[str]:
        """Those of `commits` that are no part of the history of `head`."""
        return frozenset(self._list([*commits, f"^{head}"], ["--no-walk=unsorted"]))

    def _list(self, revisions: Iterable[str], options: Sequence[str]) -> list[str]:
        # What is excluded may be a commit that is not here: then nothing is excluded by it.
        command = ("rev-list", "--ignore-missing", "--stdin", *options)
        return self._run(command, stdin="\n".join([*revisions, ""]).encode())[1].decode().split()

    def _run(self, arguments: Sequence[str], stdin: bytes = b"", expected: Sequence[int] = (0,)) -> tuple[int, bytes]:
        import subprocess

        try:
            done = subprocess.run(
                ["git", *arguments],
                input=stdin,
                capture_output=True,
                cwd=self._cwd,
                env=self._environment,
                check=False,
            )
        except FileNotFoundError:
            raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
        except ValueError as error:
            raise BadInput(f"not something that git can be asked for: {error}.") from None
        if done.returncode not in expected:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
            raise Damaged(f"git {arguments[0]} failed in {self._cwd}: {lines[0]}. Run `git fsck`.")
        return done.returncode, done.stdout


def _parse(out: bytes) -> list[Landing]:
    """The landings in git's raw output: first that of the lines that follow no commit's name."""
    landings = [Landing(None, {})]
    words = iter(out.split(b"\0"))
    for word in words:
        if word.startswith(b":"):
            # One mode for each parent and one for the result, behind as many colons as there are parents.
            parents = len(word) - len(word.lstrip(b":"))
            modes = word.lstrip(b":").split(b" ", parents + 1)[: parents + 1]
            landings[-1].writes[os.fsdecode(next(words))] = _SUBMODULE in modes
        elif word:
            landings.append(Landing(word.decode(), {}))
    return landings
