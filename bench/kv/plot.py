"""Accuracy against bytes, as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

__all__ = ["curves"]


def curves(points: Mapping[str, Sequence[tuple[float, float]]], title: str, path: str) -> None:
    """One line a method through its (bytes, accuracy); ours are solid."""
    figure, axes = plt.subplots(figsize=(9, 6))
    for name, pairs in sorted(points.items()):
        at, height = zip(*sorted(pairs), strict=True)
        peer = name.startswith("kvpress")
        axes.plot(at, height, "--" if peer else "-", marker=".", label=name, linewidth=1 if peer else 1.8)
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the cache, one context")
    axes.set_ylabel("share of answers right")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    figure.savefig(path, dpi=80, bbox_inches="tight")
    plt.close(figure)
