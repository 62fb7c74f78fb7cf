"""Bytes: of packed vectors, of a running cache, and of the process at its peak."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import torch

from bench.row import Context, Outcome
from swarm_kernels.policy import Policy
from swarm_kernels.turboquant import Quantizer

from .harness import full_nbytes, new_cache
from .model import untrained

__all__ = ["row"]


def row(context: Context) -> Outcome:
    """Stored bytes of a vector, and the growth of two processes that read the same long text."""
    outcome = Outcome()
    exact = all(
        Quantizer(d, bits).quantize(torch.randn(3, 5, d)).nbytes == 15 * (-(-bits * d // 8) + 2)
        for d in (40, 64, 80, 96, 128, 256)
        for bits in (1, 2, 3, 4)
    )
    outcome.add(
        "stored bytes a vector, six head sizes, 1 to 4 bits", "ceil(bd/8)+2", "equal" if exact else "NOT", exact
    )
    tokens = context.pick(4096, 1024)
    found = {kind: child(kind, tokens) for kind in ("full", "compressed")}
    outcome.detail["peak"] = found
    growth = {kind: f["peak_mib"] - f["before_mib"] for kind, f in found.items()}
    outcome.add(
        f"peak memory, {tokens} tokens, 32 layers, K4/V4: growth of the process, full / compressed",
        "falls",
        f"{growth['full']:.0f} / {growth['compressed']:.0f} MiB; cache {found['full']['cache_mib']:.0f} / "
        f"{found['compressed']['cache_mib']:.0f} MiB",
        growth["compressed"] < growth["full"],
    )
    return outcome


def child(kind: str, tokens: int) -> dict[str, Any]:
    """Read `tokens` tokens in a process of its own."""
    command = [sys.executable, "-m", "bench.kv.memory", kind, str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(kind: str, tokens: int) -> None:
    """In the child: a narrow model of many layers, so that its cache outweighs it; the text in parts of 512 tokens."""
    torch.set_num_threads(1)
    model: Any = untrained(layers=32, width=64, inner=64, heads=4, kv_heads=4, d=128)
    ids = torch.randint(1, 64, (1, tokens), generator=torch.Generator().manual_seed(0))
    cache = new_cache(model, None if kind == "full" else Policy(bits_k=4, bits_v=4, window=128, slack=64))
    with torch.no_grad():
        model(ids[:, :64], use_cache=False)  # what the libraries load at first use is not the cache's
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for part in ids.split(512, 1):
            model(part, past_key_values=cache, use_cache=True, logits_to_keep=1)
    held = full_nbytes(cache) if kind == "full" else cache.report().nbytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"before_mib": before, "peak_mib": peak, "cache_mib": held / 2**20}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
