"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime

__all__ = ["cpu_seconds", "describe", "filesystem", "fsync_ms", "roomy_directory"]


def describe(directory: str) -> dict[str, object]:
    """The machine, with the cost of an fsync in `directory`."""
    with open("/proc/cpuinfo", encoding="utf-8") if os.path.exists("/proc/cpuinfo") else open(os.devnull) as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpus": usable,
        "cpu": model or platform.processor(),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": f"{platform.system()} {platform.release()}",
        "filesystem": filesystem(directory),
        "fsync_ms": fsync_ms(directory),
        "git": _output("git", "--version").removeprefix("git version "),
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def filesystem(path: str) -> str:
    """The type of the file system that holds `path`, "" where it cannot be told."""
    if sys.platform.startswith("linux"):
        return _output("stat", "--file-system", "--format=%T", "--", path)
    return ""


def fsync_ms(directory: str) -> float:
    """The median cost of writing 4 KiB to a new file and fsyncing it."""
    times = []
    for _ in range(40):
        fd, path = tempfile.mkstemp(dir=directory)
        try:
            os.write(fd, b"x" * 4096)
            start = time.perf_counter()
            os.fsync(fd)
            times.append(time.perf_counter() - start)
        finally:
            os.close(fd)
            os.unlink(path)
    return round(statistics.median(times) * 1e3, 3)


def roomy_directory() -> str:
    """Where to measure: the temporary directory, unless that is kept in memory, where an fsync costs nothing."""
    usual = tempfile.gettempdir()
    return "/var/tmp" if filesystem(usual) in ("tmpfs", "ramfs") and os.path.isdir("/var/tmp") else usual


def cpu_seconds(command: list[str], cwd: str, env: dict[str, str]) -> tuple[float, float]:
    """(user + system CPU, wall time) of `command`, in seconds. Raises CalledProcessError unless it exits with 0."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def _output(*command: str) -> str:
    """What a command prints, "" where it is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
