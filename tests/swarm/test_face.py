"""The public face: what `import swarm` gives, and what each command loads to start quickly."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import swarm

from .conftest import Ran

HEAVY = ("pydantic", "git", "torch", "textual", "numpy", "click", "dataclasses", "inspect")


def test_all_is_complete() -> None:
    """Every name of __all__ can be had, and every name that has a home is in it."""
    assert sorted(swarm.__all__) == swarm.__all__
    for name in swarm.__all__:
        assert getattr(swarm, name) is not None
        assert name in dir(swarm)
    assert {name for names in swarm._HOMES.values() for name in names} == set(swarm.__all__)
    for module, names in swarm._HOMES.items():
        for name in names:
            assert getattr(importlib.import_module(module), name) is getattr(swarm, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = swarm.nothing  # type: ignore[attr-defined]


def loaded(*arguments: str) -> set[str]:
    """The modules that are loaded after `python *arguments`."""
    code = "import sys\n" + arguments[0] + "\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def test_importing_swarm_loads_nothing() -> None:
    """Not even the modules of this package."""
    ours = {name for name in loaded("import swarm") if name.startswith("swarm")}
    assert ours == {"swarm"}


@pytest.mark.parametrize("verb", ["status", "recall login", "show ID", "history ID", "log hello", "git version"])
def test_a_command_that_reads_or_logs_loads_nothing_heavy(repository: Path, run: Callable[..., Ran], verb: str) -> None:
    """No pydantic, GitPython, torch or textual, and only the module of its own verb."""
    id = run("--as", "ada", "remember", "Login is slow").id
    words = ["--as", "ada", *verb.replace("ID", id).split()]
    modules = loaded(f"from swarm.cli import main\nassert main({words!r}) == 0")
    assert not {name for name in modules if name.split(".")[0] in HEAVY}
    verbs = {name for name in modules if name.startswith("swarm.cli.")} - {
        "swarm.cli.call",
        "swarm.cli.output",
        "swarm.cli.fields",
    }
    assert verbs == {f"swarm.cli.{verb.split()[0]}"}


@pytest.mark.parametrize(
    ("verb", "spared"),
    [
        ("status", {"shutil", "ctypes", "swarm_ledger.view", "swarm_ledger.logbook", "swarm_indexes.ranking"}),
        ("recall login", {"shutil", "ctypes", "swarm_ledger.view", "swarm_ledger.logbook", "swarm_indexes.language"}),
    ],
)
def test_who_only_reads_is_spared_what_writes_shows_and_ranks(
    repository: Path, run: Callable[..., Ran], verb: str, spared: set[str]
) -> None:
    """Also where a view is on and files are in it; each of these takes a millisecond or two of a command's fifty."""
    run("view", "on")
    run("--as", "ada", "remember", "Login is slow")
    run(*verb.split())  # takes in what was written
    assert loaded(f"from swarm.cli import main\nassert main({verb.split()!r}) == 0") & spared == set()


def test_a_status_tells_what_the_view_could_not_take_in(repository: Path, run: Callable[..., Ran]) -> None:
    """With why, in words and in JSON."""
    run("view", "on")
    (repository / ".swarm/ledger/facts").mkdir(exist_ok=True)
    (repository / ".swarm/ledger/facts/bad.md").write_bytes(b"\xff")
    run("--as", "ada", "ingest")
    assert "not taken in: facts/bad.md: line 1: not UTF-8; save the file as UTF-8" in run("status").out
    view = json.loads(run("status", "--json").out)["view"]
    assert view["problems"] == {"facts/bad.md": "line 1: not UTF-8; save the file as UTF-8"}
    assert view["directory"] == str(repository / ".swarm/ledger")


def cpu_seconds(*commands: list[str]) -> list[float]:
    """The least CPU time, user and system, of several runs of each, taking turns: others use the machine too."""
    # With compiled modules, as an installed package has them.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    least = [float("inf")] * len(commands)
    for _ in range(12):
        for number, command in enumerate(commands):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=environment, capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            least[number] = min(least[number], used)
    return least


@pytest.mark.parametrize("words", [["status"], ["recall", "login"]])
def test_a_reading_command_starts_in_eight_times_the_cpu_of_python(
    repository: Path, run: Callable[..., Ran], words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Agents call it many times a minute."""
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "compiled"))
    run("--as", "ada", "remember", "Login is slow")
    floor, ours = cpu_seconds([sys.executable, "-c", "pass"], [sys.executable, "-m", "swarm", *words])
    assert ours < 8 * floor
