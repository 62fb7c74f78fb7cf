"""The guard's hooks in a code repository: put in, looked at, taken out. Hooks that were there go on working.

Where git's own directory of hooks is in use, a hook that is there is put aside beside ours, which runs it first.
Where `core.hooksPath` names another, that directory may be of one worktree, of one branch or of every repository of
the user: it is left as it is, and `core.hooksPath` of this repository names a directory of ours, whose hooks run those
of the other one. `swarm.hooksPath` remembers it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from swarm_ledger.errors import Damaged, NotFound, Refused
from swarm_ledger.place import Place

__all__ = ["GUARDED", "Status", "install", "status", "uninstall"]

GUARDED = ("pre-commit", "pre-merge-commit", "pre-push")
_PASSED_ON = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "prepare-commit-msg", "commit-msg", "post-commit"),
    *("pre-rebase", "post-checkout", "post-merge", "post-rewrite", "pre-auto-gc", "pre-receive", "update"),
    *("post-receive", "post-update"),
)
"""Hooks that may be there or not, as worktrees and branches differ."""
_PASSED_ON_IF_THERE = ("reference-transaction", "post-index-change", "push-to-checkout", "proc-receive")
"""Hooks that cost much, or change what git does, by being there."""
_MARK = "# swarm guard: "
_ASIDE = ".before-swarm"


class Status(NamedTuple):
    """Whether every worktree is guarded."""

    hooks: tuple[str, ...]
    """The directories that hold the hooks."""
    missing: tuple[str, ...]
    """What is not as it should be, a line each."""
    others: tuple[str, ...]
    """Hooks of others that run before ours."""

    @property
    def guarded(self) -> bool:
        """Whether a commit, merge or push in any worktree asks the guard."""
        return bool(self.hooks) and not self.missing


class _Setting(NamedTuple):
    """Where git says that the hooks of a worktree are. `path` is None where nothing is set."""

    git_dir: str
    scope: str
    path: str | None


def install(place: Place, command: Sequence[str], environment: Mapping[str, str], home: str | None = None) -> Status:
    """Guard every worktree of the repository of `place`, by hooks that run `command`. Doing it again changes nothing.

    `home` is where the ledger is kept, if not in the repository. Raises Refused where a hook of another is in the way
    of what was put aside, NotFound outside a repository.
    """
    common = _common(place)
    ours = _ours(place)
    with _alone(common):
        for setting in _settings(common, environment):
            if setting.path is None:
                _chain(f"{common}/hooks", command, home)
            elif setting.path != ours:
                _divert(setting, ours, environment)
        if any(setting.path == ours for setting in _settings(common, environment)):
            _dispatch(ours, common, environment, command, home)
    found = status(place, environment)
    if not found.guarded:
        raise Refused("hooks", f"the hooks are written, but git would not run them: {'; '.join(found.missing)}.")
    return found


def uninstall(place: Place, environment: Mapping[str, str]) -> Status:
    """Take the guard's hooks out, and put back what was there before."""
    common = _common(place)
    with _alone(common):
        for setting in _settings(common, environment):
            scope = _scope(setting)
            if setting.path == _ours(place):
                _restore(setting, environment)
            for name in ("swarm.hooksPath", "swarm.hooksPathFrom"):
                _git(setting.git_dir, environment, "config", scope, "--unset-all", name)
        shutil.rmtree(_ours(place), ignore_errors=True)
        _unchain(f"{common}/hooks")
    return status(place, environment)


def status(place: Place, environment: Mapping[str, str]) -> Status:
    """How the repository of `place` is guarded now."""
    common = _common(place)
    ours = _ours(place)
    hooks: list[str] = []
    missing: list[str] = []
    others: list[str] = []
    for setting in _settings(common, environment):
        if setting.path not in (None, ours):
            missing.append(f"core.hooksPath is {setting.path} ({setting.scope} configuration of {setting.git_dir})")
            continue
        directory = setting.path or f"{common}/hooks"
        there = {hook for name, hook in _marked(directory) if os.access(f"{directory}/{name}", os.X_OK)}
        if there:
            hooks.append(directory)
        missing += [f"{directory}/{hook} is not the guard's" for hook in GUARDED if hook not in there]
        aside = [f"{directory}/{hook}{_ASIDE}" for hook in GUARDED]
        others += [_before(setting, environment)] if directory == ours else filter(os.path.lexists, aside)
    return Status(tuple(dict.fromkeys(hooks)), tuple(dict.fromkeys(missing)), tuple(dict.fromkeys(others)))


def _common(place: Place) -> str:
    if place.common_dir is None:
        raise NotFound("not inside a git repository: there are no commits to guard.")
    return place.common_dir


def _ours(place: Place) -> str:
    """Our directory, whose hooks run those of another. Not in the ledger's home: whoever deletes that keeps them."""
    return f"{_common(place)}/swarm-hooks"


def _settings(common: str, environment: Mapping[str, str]) -> Iterator[_Setting]:
    """What core.hooksPath is for the repository, and for each worktree that has settings of its own."""
    directories = [common]
    with contextlib.suppress(FileNotFoundError):
        directories += sorted(f"{common}/worktrees/{name}" for name in os.listdir(f"{common}/worktrees"))
    for git_dir in directories:
        if git_dir != common and not os.path.exists(f"{git_dir}/config.worktree"):
            continue
        out = _git(git_dir, environment, "config", "--show-scope", "--type=path", "--get", "core.hooksPath")
        scope, _, path = out.removesuffix("\n").partition("\t")
        yield _Setting(git_dir, scope, path if scope else None)


@contextlib.contextmanager
def _alone(common: str) -> Iterator[None]:
    """One puts hooks in or out at a time: what is put aside must be the other's, not ours."""
    fd = os.open(common, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _scope(setting: _Setting) -> str:
    return "--worktree" if setting.scope == "worktree" else "--local"


def _divert(setting: _Setting, ours: str, environment: Mapping[str, str]) -> None:
    """Let core.hooksPath name `ours`, and remember what it was and who said so."""
    named = {"swarm.hooksPath": setting.path or "", "swarm.hooksPathFrom": setting.scope, "core.hooksPath": ours}
    for name, value in named.items():
        _git(setting.git_dir, environment, "config", _scope(setting), name, value, required=True)


def _restore(setting: _Setting, environment: Mapping[str, str]) -> None:
    """Let core.hooksPath be what it was before."""
    scope = _scope(setting)
    origin = _git(setting.git_dir, environment, "config", scope, "--get", "swarm.hooksPathFrom").strip()
    back = [_before(setting, environment)] if f"--{origin}" == scope else []
    change = [] if back else ["--unset-all"]
    _git(setting.git_dir, environment, "config", scope, *change, "core.hooksPath", *back, required=True)


def _before(setting: _Setting, environment: Mapping[str, str]) -> str:
    out = _git(setting.git_dir, environment, "config", "--type=path", "--get", "swarm.hooksPath")
    return out.removesuffix("\n")


def _chain(directory: str, command: Sequence[str], home: str | None) -> None:
    """Put the guard's hooks into git's own directory, and aside what is in their place."""
    os.makedirs(directory, exist_ok=True)
    elsewhere = {hook for name, hook in _marked(directory) if name != hook}
    for hook in GUARDED:
        path, aside = f"{directory}/{hook}", f"{directory}/{hook}{_ASIDE}"
        if hook in elsewhere and os.path.lexists(path):  # a tool that came later put ours aside, and runs it
            continue
        if os.path.lexists(path) and _mark_of(path) != hook:
            if os.path.lexists(aside) and _text(aside) != _text(path):
                raise Refused(
                    "hooks",
                    f"{path} is not the guard's, and {aside} is still there from before.\n"
                    "Make one of the two, or remove the one that is not wanted, then install again.",
                )
            os.replace(path, aside)
        _write(path, _guarding(hook, f'"${{0%/*}}/{hook}{_ASIDE}"', command, home))


def _unchain(directory: str) -> None:
    """Take the guard's hooks out of git's own directory, and put back what was in their place."""
    for name, hook in _marked(directory):
        aside, path = f"{directory}/{hook}{_ASIDE}", f"{directory}/{name}"
        if name != hook and os.path.lexists(aside) and _text(aside) == _text(f"{directory}/{hook}"):
            os.unlink(aside)  # what put ours aside is the same as what we had put aside
        if os.path.lexists(aside):
            os.replace(aside, path)
        else:
            os.unlink(path)


def _dispatch(ours: str, common: str, environment: Mapping[str, str], command: Sequence[str], home: str | None) -> None:
    """Fill our directory: the guard's hooks, and others that do nothing but run those of the directory before."""
    os.makedirs(ours, exist_ok=True)
    before = {_before(setting, environment) for setting in _settings(common, environment)}
    there = [hook for hook in _PASSED_ON_IF_THERE if any(os.path.exists(f"{one}/{hook}") for one in before if one)]
    for hook in (*_PASSED_ON, *there):
        text = f'#!/bin/sh\n{_MARK}{hook}\n{_earlier(hook)}[ -x "$earlier" ] || exit 0\nexec "$earlier" "$@"\n'
        _write(f"{ours}/{hook}", text)
    for hook in GUARDED:
        _write(f"{ours}/{hook}", _guarding(hook, None, command, home))


def _earlier(hook: str) -> str:
    return f'earlier="$(git config --type=path --get swarm.hooksPath)/{hook}"\n'


def _guarding(hook: str, earlier: str | None, command: Sequence[str], home: str | None) -> str:
    """The text of a hook. It refuses when the guard does, and says so when the guard could not be asked."""
    reads = hook == "pre-push"
    feed = 'printf %s "$given" | ' if reads else ""
    lines = [
        "#!/bin/sh",
        f"{_MARK}{hook}",
        "# Refuses what writes paths that another agent owns. `swarm guard uninstall` takes it out.",
        "# Where it cannot be asked it says so and lets pass: a repository must stay usable without this program.",
        f"earlier={earlier}" if earlier else _earlier(hook).rstrip(),
        *(["given=$(cat; echo .)", "given=${given%.}"] if reads else []),
        # pre-commit, installed once more after us, runs us from its own hook and must not be run by us again.
        'if [ -n "$PRE_COMMIT_RUNNING_LEGACY" ] && grep -q hook-impl "$earlier" 2>/dev/null; then earlier=; fi',
        f'if [ -x "$earlier" ]; then {feed}"$earlier" "$@" || exit; fi',
        *([f"SWARM_HOME=${{SWARM_HOME:-{shlex.quote(home)}}}", "export SWARM_HOME"] if home else []),
        f"if [ -x {shlex.quote(command[0])} ]; then",
        f'  {feed}{shlex.join(command)} guard hook {hook} "$@"',
        "elif command -v swarm >/dev/null; then",
        f'  {feed}swarm guard hook {hook} "$@"',
        "else (exit 127); fi",
        "case $? in",
        "0) exit 0 ;;",
        "4 | 130) exit 1 ;;",
        f"*) echo 'swarm: {hook} could not ask who owns what (see above, or swarm is gone); NOT CHECKED. '\\",
        "'Install swarm-ledger and run `swarm guard install`, or `swarm doctor`.' >&2 ;;",
        "esac",
        "exit 0",
    ]
    return "\n".join([*lines, ""])


def _marked(directory: str) -> list[tuple[str, str]]:
    """(file, hook) for each file of `directory` that is a hook of ours."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [(name, _mark_of(f"{directory}/{name}")) for name in names if not name.endswith(_ASIDE)]
    return [(name, hook) for name, hook in found if hook]


def _mark_of(path: str) -> str | None:
    """Which hook of ours `path` is, or None."""
    lines = _text(path).split(b"\n", 2)
    mark = _MARK.encode()
    return os.fsdecode(lines[1].removeprefix(mark)) if len(lines) > 1 and lines[1].startswith(mark) else None


def _text(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16)
    except OSError:
        return b""


def _write(path: str, text: str) -> None:
    scratch = f"{path}.{os.getpid()}.new"
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o777)
    with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(scratch, path)


def _git(git_dir: str, environment: Mapping[str, str], *arguments: str, required: bool = False) -> str:
    """Standard output of git on `git_dir`, with the user's settings. "" where it finds nothing, unless `required`."""
    own = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
    kept = {name: value for name, value in environment.items() if not name.startswith("GIT_") or name in own}
    try:
        done = subprocess.run(
            ["git", f"--git-dir={git_dir}", *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**kept, "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    if required and done.returncode:
        raise Damaged(f"git {arguments[0]} failed on {git_dir}: {os.fsdecode(done.stderr).strip()}.")
    return os.fsdecode(done.stdout)
