"""The rooms stay rooms: who imports whom, what a wheel holds, what the folders must not hold."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "swarm_kernels": ("kernels", set()),
    "swarm_ledger": ("ledger", set()),
    "swarm_indexes": ("indexes", {"swarm_ledger"}),
    "swarm_plan": ("plan", {"swarm_ledger"}),
    "swarm": (".", {"swarm_ledger", "swarm_indexes", "swarm_plan", "swarm_kernels"}),
    "swarm_tui": ("tui", {"swarm"}),
}
"""Package → (its folder, the packages of ours that it may import)."""


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", ROOMS)
def test_imports_point_one_way(package: str) -> None:
    """A room imports only the rooms below it."""
    folder, allowed = ROOMS[package]
    files = list((ROOT / folder / package).rglob("*.py"))
    assert files
    for path in files:
        ours = imports(path) & set(ROOMS) - {package}
        assert ours <= allowed, f"{path} imports {ours - allowed}"


@pytest.mark.parametrize("folder", ["ledger", "indexes", "kernels", "tui", "plan"])
def test_a_room_is_not_a_package(folder: str) -> None:
    """A top-level `kernels/__init__.py` would shadow another distribution's `kernels`."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_a_wheel_holds_the_six_packages_and_nothing_else(tmp_path: Path) -> None:
    """What is installed at top level is ours alone, and each package is typed."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)
    assert all(f"{package}/py.typed" in names for package in ROOMS)
    assert not [name for name in names if "/tests/" in name or name.endswith(".pyc")]


def modules(package: str) -> list[str]:
    """Dotted names of a package's public modules; the CLI's commands are reached by name, not imported."""
    root = ROOT / ROOMS[package][0]
    found = [path.relative_to(root).with_suffix("") for path in (root / package).rglob("*.py")]
    return sorted(
        ".".join(path.parts).removesuffix(".__init__") for path in found if path.parts[:2] != ("swarm", "cli")
    )


@pytest.mark.parametrize("package", ROOMS)
def test_exports_exist(package: str) -> None:
    """Every public module says what it is for and what it exports, and has what it exports."""
    for name in modules(package):
        module = importlib.import_module(name)
        assert module.__doc__, f"{name} has no docstring"
        if not name.rpartition(".")[2].startswith("_"):
            assert [item for item in module.__all__ if not hasattr(module, item)] == [], name


def test_every_core_file_is_short() -> None:
    """Near 600 lines a file is two ideas."""
    long = {
        str(path.relative_to(ROOT)): count
        for folder, _ in ROOMS.values()
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        and (count := len(path.read_text().splitlines())) > 600
    }
    assert long == {}


def test_the_base_install_has_no_heavy_imports() -> None:
    """`import swarm` brings in neither pydantic nor GitPython, torch or textual."""
    code = "import sys, swarm; print(sorted({'pydantic', 'git', 'torch', 'textual', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
