"""The quantiser's error on unit vectors of four kinds, against the exact values and the theorem's bound."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.row import Context, Outcome
from swarm_kernels.codebook import distortion
from swarm_kernels.turboquant import Quantizer

__all__ = ["row"]

KINDS = {"Gaussian": 0.02, "one-hot": 0.04, "heavy-tailed": 0.04, "constant-offset": 0.04}


def row(context: Context) -> Outcome:
    """D_mse at d = 64, 128 and 1 to 4 bits, the mean over rotations."""
    outcome = Outcome()
    seeds = context.pick(1200, 100)
    for kind, tolerance in KINDS.items():
        worst, below = 0.0, True
        for d in (64, 128):
            generator = torch.Generator().manual_seed(d)
            total = [0.0] * 5
            for seed in range(seeds):
                x = torch.nn.functional.normalize(vectors(kind, d, generator), dim=-1)
                for bits in range(1, 5):
                    error = Quantizer(d, bits, seed).quantize(x).dequantize() - x
                    total[bits] += float(error.square().sum(-1).mean()) / seeds
            for bits in range(1, 5):
                worst = max(worst, abs(total[bits] / distortion(d, bits) - 1))
                below &= total[bits] < math.sqrt(3) * math.pi / 2 * 4.0**-bits
                outcome.detail[f"{kind} d={d} b={bits}"] = round(total[bits], 6)
        outcome.add(
            f"D_mse, {kind}: furthest from exact, d = 64, 128, b = 1..4",
            f"{tolerance:.0%}",
            f"{worst:.1%}, {'below' if below else 'ABOVE'} the bound",
            worst <= tolerance and below,
        )
    return outcome


def vectors(kind: str, d: int, generator: torch.Generator) -> Tensor:
    """float32 [8, d]."""
    gaussian = torch.randn(8, d, generator=generator)
    if kind == "one-hot":
        return torch.eye(d)[torch.randperm(d, generator=generator)[:8]]
    if kind == "heavy-tailed":
        return gaussian / torch.rand(8, d, generator=generator)
    return gaussian + 5 if kind == "constant-offset" else gaussian
