"""Rows measured one after the other in one run, on the screen and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from swarm_ledger.git import environment

from . import machine
from .row import Context, Row

__all__ = ["load", "main"]

Beside = Callable[[str], list[dict[str, Any]]]
"""Figures that others left in a directory."""


def main(
    name: str,
    about: str | None,
    rows: Mapping[str, Row],
    beside: Beside = lambda directory: [],
    *,
    data: bool = False,
) -> int:
    """Measure `rows` into .bench/<name>.json, for `python -m bench.<name>`, and show them with the figures `beside` it.

    With `data` the rows measure with a file, which --data names.

    0 when every figure that has a target meets it, 1 when one does not, 130 when interrupted.
    """
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=about)
    parser.add_argument("--quick", action="store_true", help="rough figures in a few minutes, to see that it works")
    parser.add_argument("--only", action="append", choices=list(rows), metavar="ROW", help=" ".join(rows))
    parser.add_argument("--resume", action="store_true", help="keep the rows of this commit that are in the JSON")
    parser.add_argument("--json", default=f".bench/{name}.json", metavar="FILE", help="where to (default: %(default)s)")
    parser.add_argument("--dir", help="measure in this directory (default: the temporary directory, if on a disk)")
    if data:
        parser.add_argument("--data", required=True, metavar="FILE", help="conversations in LoCoMo's JSON shape")
        parser.add_argument("--embedder", metavar="PATH", help="measure with this sentence-transformers model too")
    options = parser.parse_args()
    base = options.dir or machine.roomy_directory()
    commit = _commit()
    report = load(options.json) if options.resume or options.only else {}
    if report.get("commit") != commit or report.get("quick") != options.quick:
        if report:
            sys.stderr.write(f"{options.json} is of another commit or mode: beginning anew\n")
        report = {"commit": commit, "quick": options.quick, "rows": {}}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to clean up then too
    directory = tempfile.mkdtemp(prefix="swarm-bench-", dir=base)
    try:
        report["machine"] = machine.describe(directory)
        for row in options.only or rows:
            if options.resume and row in report["rows"]:
                continue
            sys.stderr.write(f"--- {row}\n")
            began = time.monotonic()
            work = f"{directory}/{row}"
            os.makedirs(work)
            given = (os.path.abspath(options.data), options.embedder or "") if data else ()
            outcome = rows[row](Context(work, options.quick, *given))
            shutil.rmtree(work)
            report["rows"][row] = {**outcome.as_json(), "seconds": round(time.monotonic() - began, 1)}
            _save(options.json, report)
        code = 0
    except KeyboardInterrupt:
        sys.stderr.write(f"\ninterrupted; {options.json} has what was measured, --resume goes on from there\n")
        code = 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    figures = _show(report, rows, beside(os.path.dirname(options.json) or "."))
    return code or int(any(figure["pass"] is False for figure in figures))


def _show(report: dict[str, Any], rows: Mapping[str, Row], beside: list[dict[str, Any]]) -> list[dict[str, Any]]:
    figures = [figure for row in rows if row in report["rows"] for figure in report["rows"][row]["figures"]]
    figures += beside
    machine_line = report.get("machine", {})
    print(
        f"{machine_line.get('cpus')} CPUs, {machine_line.get('filesystem')}, fsync {machine_line.get('fsync_ms')} ms, "
        f"git {machine_line.get('git')}, Python {machine_line.get('python')}, commit {report['commit']}"
        + (", QUICK: rough figures" if report["quick"] else "")
    )
    width = max((len(figure["name"]) for figure in figures), default=0)
    for figure in figures:
        mark = {True: "ok  ", False: "MISS", None: "    "}[figure["pass"]]
        print(f"{mark} {figure['name']:{width}}  {figure['target']:>12}  {figure['measured']}")
    return figures


def load(path: str) -> dict[str, Any]:
    """The report in `path`, {} where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _save(path: str, report: dict[str, Any]) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    os.replace(f"{path}.new", path)


def _commit() -> str:
    if shutil.which("git") is None:  # a borrowed machine with nothing but a GPU
        return "unknown"
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=here,
        env=environment(),
        capture_output=True,
        check=False,
    )
    return done.stdout.decode().strip() or "unknown"
