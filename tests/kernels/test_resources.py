"""Kernels compile without a GPU, spill nothing, and take what is on record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.kernels import faults

pytest.importorskip("triton")

NAME = "decode d=128 k4 v4 sm_90"
TAKEN = {"registers": 100, "spilled": 0, "shared": 1024}


def test_the_decode_kernel_is_as_recorded(tmp_path: Path) -> None:
    """Compiled anew for sm_80 and sm_90: registers, spills and shared memory as in bench/kernels.json."""
    env = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "bench.kernels", "--only", "decode d=128 k4 v4"],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 spilled") == 4  # with and without a bias, two architectures


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"spilled": 8}, [f"{NAME} spills 8 bytes a thread"]),
        ({"shared": 300_000}, [f"{NAME} takes 300000 bytes of shared memory, a block has 232448"]),
    ],
)
def test_faults_under_another_triton(change: dict[str, int], said: list[str]) -> None:
    """Spills, and more shared memory than a block has, are faults under any Triton; a drift in registers is not."""
    recorded = {"triton": "3.0.0", "kernels": {NAME: {**TAKEN, "registers": 90}}}
    assert faults({NAME: TAKEN | change}, recorded, "3.9.0") == said


def test_a_drift_is_a_fault_under_the_same_triton() -> None:
    """Under the Triton of the record, resources that differ, or of a kernel that is not on record, are faults."""
    recorded = {"triton": "3.9.0", "kernels": {NAME: TAKEN}}
    assert faults({NAME: TAKEN}, recorded, "3.9.0") == []
    assert len(faults({NAME: {**TAKEN, "registers": 128}}, recorded, "3.9.0")) == 1
    assert len(faults({"score sm_80": TAKEN}, recorded, "3.9.0")) == 1
