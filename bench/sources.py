"""Sources of real projects: their sdists, fetched from the package index, with the sha256 of what came."""

from __future__ import annotations

import glob
import hashlib
import os
import subprocess
import sys
import tarfile

__all__ = ["fetch", "python_files"]


def fetch(requirement: str, directory: str) -> tuple[str, str]:
    """(where the sdist of `requirement`, such as rich==13.0.0, was unpacked; its sha256). Fetched once a directory."""
    place = os.path.join(directory, requirement)
    if not os.path.isdir(place):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--no-binary", ":all:", "--dest", f"{place}.new", requirement], check=True)
        (archive,) = glob.glob(f"{place}.new/*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(f"{place}.new", filter="data")
        os.rename(f"{place}.new", place)
    (archive,) = glob.glob(f"{place}/*.tar.gz")
    with open(archive, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    (root,) = (entry.path for entry in os.scandir(place) if entry.is_dir())
    return root, digest


def python_files(root: str, least: int = 20) -> dict[str, bytes]:
    """Path → content of the Python files under `root` that have at least so many lines."""
    out = {}
    for path in sorted(glob.glob("**/*.py", root_dir=root, recursive=True)):
        with open(os.path.join(root, path), "rb") as file:
            data = file.read()
        if data.count(b"\n") >= least:
            out[path] = data
    return out
