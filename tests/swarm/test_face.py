"""The public face: what `import swarm` gives, and what each command loads to start quickly."""

from __future__ import annotations

import importlib
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
