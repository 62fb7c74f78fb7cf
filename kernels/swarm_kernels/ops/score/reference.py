"""TriAttention's score in its collapsed form, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["score"]


def score(keys: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """How much the coming queries are expected to attend to each key: <centre, key> + Σ_f spread_f |key_f|.

    keys       floating [B, Hkv, N, d], rotated (post-RoPE), halves layout: band f is dimensions f and f + d/2
    centre     float32 [B or 1, Hkv, G, d], the mean query rotated to the coming positions (triattention.py)
    spread     float32 [Hkv, G, d/2], the part of the queries' length that their mean does not explain
    → float32 [B, Hkv, G, N]; the G query heads of KV head h are h·G … h·G + G - 1
    """
    k = keys.float()
    half = k.shape[-1] // 2
    magnitude = torch.hypot(k[..., :half], k[..., half:])
    return centre @ k.transpose(-1, -2) + spread @ magnitude.transpose(-1, -2)
