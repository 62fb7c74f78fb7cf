"""TriAttention's score: how much the queries to come are expected to attend to a cached key.

A head's queries before rotation gather around a mean; with the mean in place of the query, the logit of a key is a
trigonometric series in the distance. What the mean does not explain goes in as a weighted magnitude of the key.
(Mao et al., arXiv 2604.04921.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .calibration import Calibration

__all__ = ["OFFSETS", "aim", "exact_score"]

OFFSETS = tuple(2**power for power in range(17))
"""How far ahead the queries to come are looked for: 1 to 65,536 tokens, the score is the mean over them."""


def exact_score(
    keys: Tensor, positions: Tensor, calibration: Calibration, layer: int, now: int, offsets: tuple[int, ...] = OFFSETS
) -> Tensor:
    """The score as it is defined, offset by offset, from un-rotated keys; float64 and slow. For tests and reading.

    keys float [B, Hkv, N, d] rotated, positions [B, Hkv or 1, N] → float64 [B, Hkv, G, N].

    For band f with angular speed w, mean query μ, mean length m, un-rotated key k at position p:
        Σ_f |μ||k| cos(w (now + δ - p) + arg μ - arg k) + (m - |μ|) |k|, the mean over δ in `offsets`.
    """
    speeds = calibration.rope.speeds.double()
    rotated = torch.complex(*keys.double().chunk(2, -1))
    k = rotated * torch.exp(-1j * positions[..., None].double() * speeds)
    heads = keys.shape[1]
    mean = calibration.mean[layer].to(torch.complex128).unflatten(0, (heads, -1))[:, :, None]  # [Hkv, G, 1, F]
    length = calibration.length[layer].double().unflatten(0, (heads, -1))[:, :, None]
    k, p = k[:, :, None], positions[:, :, None, :, None].double()
    total = torch.zeros(())
    for offset in offsets:
        angle = speeds * (now + offset - p) + mean.angle() - k.angle()
        total = total + (mean.abs() * k.abs() * angle.cos()).sum(-1)
    return total / len(offsets) + ((length - mean.abs()) * k.abs()).sum(-1)


def aim(
    calibration: Calibration, layer: int, kv_heads: int, now: Tensor, offsets: tuple[int, ...] = OFFSETS
) -> tuple[Tensor, Tensor]:
    """What `ops.score` needs: (centre float32 [B, Hkv, G, d], spread float32 [Hkv, G, d/2]) for rows at `now`, int [B].

    The mean over offsets is taken once, on the query's side: centre_f = μ_f · mean_δ e^{i w (now + δ)}, so that the
    series is the real product of centre with the key as it is cached, whatever its position. Angles are reduced in
    float64; float32 would be off by 0.01 rad at 200,000 tokens.
    """
    speeds = calibration.rope.speeds.double()
    ahead = now.double().cpu()[:, None] + torch.tensor(offsets, dtype=torch.float64)  # [B, offsets]
    phase = torch.remainder(ahead[..., None] * speeds, 2 * math.pi)
    turned = torch.exp(1j * phase).mean(1)  # [B, F]
    mean = calibration.mean[layer].to(torch.complex128)
    centre = turned[:, None] * mean  # [B, Hq, F]
    spread = calibration.length[layer] - calibration.mean[layer].abs()
    halves = torch.cat([centre.real, centre.imag], -1).float()
    return halves.unflatten(1, (kv_heads, -1)), spread.clamp_min(0).unflatten(0, (kv_heads, -1))
