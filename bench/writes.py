"""`python -m bench.writes`: every figure of the write path, side by side in one run, on the screen and as JSON."""

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
from typing import Any

from swarm_ledger.git import environment

from . import machine
from .latency import latency
from .plaingit import plain_git
from .row import Context, Row
from .safety import safety
from .size import disk, scale, start
from .throughput import throughput

__all__ = ["main"]

ROWS: dict[str, Row] = {
    "throughput": throughput,
    "plain-git": plain_git,
    "latency": latency,
    "safety": safety,
    "disk": disk,
    "scale": scale,
    "start": start,
}


def main() -> int:
    """Measure; 0 when every figure that has a target meets it, 1 when one does not, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bench.writes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures in a few minutes, to see that it works")
    parser.add_argument("--only", action="append", choices=list(ROWS), metavar="ROW", help=" ".join(ROWS))
    parser.add_argument("--resume", action="store_true", help="keep the rows of this commit that are in the JSON")
    parser.add_argument("--json", default=".bench/writes.json", metavar="FILE", help="where to (default: %(default)s)")
    parser.add_argument("--dir", help="measure in this directory (default: the temporary directory, if on a disk)")
    options = parser.parse_args()
    base = options.dir or machine.roomy_directory()
    commit = _commit()
    report = _load(options.json) if options.resume or options.only else {}
    if report.get("commit") != commit or report.get("quick") != options.quick:
        if report:
            sys.stderr.write(f"{options.json} is of another commit or mode: beginning anew\n")
        report = {"commit": commit, "quick": options.quick, "rows": {}}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to clean up then too
    directory = tempfile.mkdtemp(prefix="swarm-bench-", dir=base)
    try:
        report["machine"] = machine.describe(directory)
        for name in options.only or ROWS:
            if options.resume and name in report["rows"]:
                continue
            sys.stderr.write(f"--- {name}\n")
            began = time.monotonic()
            work = f"{directory}/{name}"
            os.makedirs(work)
            outcome = ROWS[name](Context(work, options.quick))
            shutil.rmtree(work)
            report["rows"][name] = {**outcome.as_json(), "seconds": round(time.monotonic() - began, 1)}
            _save(options.json, report)
        code = 0
    except KeyboardInterrupt:
        sys.stderr.write(f"\ninterrupted; {options.json} has what was measured, --resume goes on from there\n")
        code = 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    figures = _show(report, os.path.dirname(options.json) or ".")
    return code or int(any(figure["pass"] is False for figure in figures))


def _show(report: dict[str, Any], beside: str) -> list[dict[str, Any]]:
    figures = [figure for name in ROWS if name in report["rows"] for figure in report["rows"][name]["figures"]]
    figures += _crash_tests(beside)
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


def _crash_tests(beside: str) -> list[dict[str, Any]]:
    """What the crash and power-loss tests left beside the report, as figures; they run on their own."""
    out: list[dict[str, Any]] = []
    for name in ("crash", "power"):
        found = _load(f"{beside}/{name}.json")
        if not found:
            out.append({"name": f"{name} test", "target": "0 lost", "measured": "not run", "pass": None})
            continue
        keys = ("acknowledged", "lost", "twice", "killed", "prefixes", "next_write_s")
        said = ", ".join(f"{key} {found[key]}" for key in keys if key in found)
        good = not any(found.get(key) for key in ("lost", "twice", "errors", "fsck")) and "lost" in found
        good = good and all(found.get("killed_inside", {"": 1}).values()) and found.get("next_write_s", 0) <= 1
        out.append({"name": f"{name} test", "target": "0 lost", "measured": said, "pass": good})
    return out


def _load(path: str) -> dict[str, Any]:
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
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=here,
        env=environment(),
        capture_output=True,
        check=False,
    )
    return done.stdout.decode().strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
