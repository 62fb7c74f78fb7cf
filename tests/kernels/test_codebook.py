"""The codebooks are those of the exact Beta law."""

from __future__ import annotations

import math

import pytest

from swarm_kernels.codebook import centroids, distortion, thresholds
from swarm_kernels.errors import BadPolicy

EXACT = {
    64: (0.35839, 0.11453, 0.03339, 0.00913),
    128: (0.36089, 0.11600, 0.03397, 0.00931),
    256: (0.36214, 0.11674, 0.03426, 0.00941),
}


@pytest.mark.parametrize("d", EXACT)
def test_distortion_is_that_of_lloyd_max_on_the_beta_law(d: int) -> None:
    """1 to 4 bits reach the least error that a scalar codebook can, to the printed digits."""
    assert [round(distortion(d, bits), 5) for bits in (1, 2, 3, 4)] == list(EXACT[d])


def test_levels_tend_to_those_of_the_normal_law() -> None:
    """In many dimensions √d times the levels are Lloyd-Max's levels for a standard normal variable."""
    d = 1_000_000
    positive = [round(level * math.sqrt(d), 4) for level in centroids(d, 4)[8:]]
    assert positive == [0.1284, 0.3880, 0.6568, 0.9423, 1.2562, 1.6180, 2.0690, 2.7326]


@pytest.mark.parametrize("d", [8, 40, 64, 80, 96, 128, 256])
@pytest.mark.parametrize("bits", range(1, 9))
def test_levels_are_a_fixed_point(d: int, bits: int) -> None:
    """2^bits ascending levels, symmetric, and each the mean of what falls to it, integrated here by a plain sum."""
    levels = centroids(d, bits)
    assert len(levels) == 2**bits
    assert list(levels) == sorted(levels)
    assert all(a == -b for a, b in zip(levels, reversed(levels), strict=True))
    edges = (-1.0, *thresholds(d, bits), 1.0)
    k = 2 ** (bits - 1)  # the innermost positive cell, and the outermost
    for cell in (k, 2 * k - 1):
        low, high = edges[cell], min(edges[cell + 1], edges[cell] + 12 / math.sqrt(d))
        xs = [low + (high - low) * (i + 0.5) / 40_000 for i in range(40_000)]
        weights = [(1 - x * x) ** ((d - 3) / 2) for x in xs]
        mean = sum(x * w for x, w in zip(xs, weights, strict=True)) / sum(weights)
        assert math.isclose(levels[cell], mean, rel_tol=1e-6)


@pytest.mark.parametrize(("d", "bits"), [(64, 0), (64, 9), (3, 4)])
def test_impossible_codebooks_are_refused(d: int, bits: int) -> None:
    """0 and 9 bits, and vectors that have no room for a codebook, are bad policies."""
    with pytest.raises(BadPolicy):
        centroids(d, bits)
