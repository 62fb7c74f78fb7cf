"""Virtual environments of peers, each with its own packages, made at first use in .bench/venvs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence

__all__ = ["AGENT_COHERENCE", "python", "run"]

AGENT_COHERENCE = ("agent-coherence", ("agent-coherence[langgraph]==0.15.0", "anthropic==0.38.0"))
"""The peer, and beside it a package for the vocabulary of a real tokenizer that it brings."""
_HERE = os.path.dirname(os.path.abspath(__file__))


def python(name: str, requirements: Sequence[str]) -> str:
    """The interpreter of the environment `name`, which has `requirements`."""
    directory = os.path.abspath(f".bench/venvs/{name}")
    interpreter, stamp = f"{directory}/bin/python", f"{directory}/made.json"
    try:
        with open(stamp, encoding="utf-8") as file:
            if json.load(file) == list(requirements):
                return interpreter
    except (OSError, ValueError):
        pass
    sys.stderr.write(f"making {directory} with {', '.join(requirements)}\n")
    venv.create(directory, clear=True, with_pip=True)
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *requirements], check=True)
    with open(stamp, "w", encoding="utf-8") as file:
        json.dump(list(requirements), file)
    return interpreter


def run(script: str, given: object, *, seconds: float = 600) -> dict[str, object]:
    """What the peer's script of that name (beside this file) answers to `given`, both as JSON."""
    command = [python(*AGENT_COHERENCE), "-I", f"{_HERE}/{script}"]
    done = subprocess.run(
        command, input=json.dumps(given), stdout=subprocess.PIPE, text=True, timeout=seconds, check=True
    )
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer
