"""kvpress on our exams: jobs handed to peer.py in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .harness import model_of
from .task import Batch

__all__ = ["PYTHON", "Peer", "Task", "run"]

PYTHON = Path(".venv-kvpress/bin/python")


@dataclass(frozen=True)
class Task:
    """One exam for one model, at some kept shares."""

    key: str
    seed: int
    exam: Batch
    kept: list[float]
    seen: bool = False


@dataclass(frozen=True)
class Peer:
    """What a method of kvpress answered."""

    key: str
    method: str
    kept: float
    right: Tensor
    nbytes: float


def run(tasks: list[Task], methods: list[str] | None = None) -> tuple[list[Peer], list[str]]:
    """(answers of every method to every task, what could not be run and why)."""
    if not PYTHON.exists():
        raise SystemExit(f"kvpress is not installed in {PYTHON.parent.parent}: run `make bench-kv`, which installs it")
    with tempfile.TemporaryDirectory() as directory:
        exams = []
        for number, task in enumerate(tasks):
            where = f"{directory}/model-{task.seed}"
            if not os.path.exists(where):
                model = model_of(task.seed)
                model.set_attn_implementation("sdpa")
                model.save_pretrained(where)
            exam = task.exam
            context = torch.cat([exam.context, exam.tail[:, :2]], 1) if task.seen else exam.context
            tensors = {"context": context, "tail": exam.tail, "answers": exam.answers}
            save_file({name: t.contiguous() for name, t in tensors.items()}, f"{directory}/{number}.safetensors")
            exams.append(
                {"key": task.key, "model": where, "file": f"{directory}/{number}.safetensors", "kept": task.kept}
            )
        with open(f"{directory}/job.json", "w", encoding="utf-8") as file:
            json.dump({"exams": exams, "methods": methods}, file)
        subprocess.run(
            [str(PYTHON.absolute()), "-P", str(Path(__file__).with_name("peer.py")), "job.json", "result.json"],
            cwd=directory,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
            check=True,
        )
        with open(f"{directory}/result.json", encoding="utf-8") as file:
            found = json.load(file)["results"]
    peers = [
        Peer(r["key"], r["method"], r["kept"], torch.tensor(r["right"]).bool(), r["nbytes"])
        for r in found
        if "right" in r
    ]
    return peers, sorted({f"{r['method']}: {r['error']}" for r in found if "error" in r})
