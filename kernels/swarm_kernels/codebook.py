"""Lloyd-Max codebooks for one coordinate of a uniformly random unit vector. No torch here.

That coordinate, x, has the density f(x) = Γ(d/2) / (√π Γ((d-1)/2)) · (1 - x²)^((d-3)/2) on [-1, 1], a shifted
Beta((d-1)/2, (d-1)/2); √d·x tends to the standard normal law. (Zandieh et al., TurboQuant, arXiv 2504.19874.)
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

from .errors import BadPolicy

__all__ = ["MAX_BITS", "centroids", "distortion", "thresholds"]

MAX_BITS = 8

# Gauss-Legendre nodes and weights on [-1, 1], 16 points: cells of a codebook are short and the density is smooth.
_HALF_RULE = (
    (0.0950125098376374, 0.1894506104550685),
    (0.2816035507792589, 0.1826034150449236),
    (0.4580167776572274, 0.1691565193950025),
    (0.6178762444026438, 0.1495959888165767),
    (0.7554044083550030, 0.1246289712555339),
    (0.8656312023878318, 0.0951585116824928),
    (0.9445750230732326, 0.0622535239386479),
    (0.9894009349916499, 0.0271524594117541),
)
_RULE = tuple((sign * x, w) for x, w in _HALF_RULE for sign in (-1.0, 1.0))


def _density(d: int, x: float) -> float:
    log_scale = math.lgamma(d / 2) - math.lgamma((d - 1) / 2) - 0.5 * math.log(math.pi)
    return math.exp(log_scale + (d - 3) / 2 * math.log1p(-x * x)) if abs(x) < 1 else float(d == 3) / 2


def _mass(d: int, low: float, high: float) -> float:
    """P(low < x < high), in pieces short against the width of the density."""
    pieces = max(1, math.ceil((high - low) * math.sqrt(d) / 0.5))
    step = (high - low) / pieces
    total = 0.0
    for piece in range(pieces):
        middle = low + (piece + 0.5) * step
        total += sum(w * _density(d, middle + 0.5 * step * x) for x, w in _RULE) * 0.5 * step
    return total


def _moment(d: int, low: float, high: float) -> float:
    """∫ x f(x) dx over the cell: x (1 - x²)^((d-3)/2) has the antiderivative -(1 - x²)^((d-1)/2) / (d-1)."""

    def edge(x: float) -> float:
        return (1 - x * x) * _density(d, x) if abs(x) < 1 else 0.0

    return (edge(low) - edge(high)) / (d - 1)


@lru_cache(maxsize=64)
def centroids(d: int, bits: int) -> tuple[float, ...]:
    """The 2^bits levels of least mean squared error for a coordinate of a unit vector in d dimensions, ascending.

    The set is symmetric: level k is minus level 2^bits - 1 - k. Raises BadPolicy for bits outside 1 to 8 or d below 4.
    """
    if not 1 <= bits <= MAX_BITS:
        raise BadPolicy(f"{bits} bits a value is out of range; choose from 1 to {MAX_BITS}")
    if d < 4:
        raise BadPolicy(f"vectors of {d} dimensions cannot be quantised; head sizes from 8 on can")
    half = _newton(d, _companded(d, 2 ** (bits - 1)))
    return tuple(-c for c in reversed(half)) + tuple(half)


def thresholds(d: int, bits: int) -> tuple[float, ...]:
    """The 2^bits - 1 boundaries between the levels: the midpoints, ascending."""
    levels = centroids(d, bits)
    return tuple((a + b) / 2 for a, b in pairwise(levels))


def distortion(d: int, bits: int) -> float:
    """E|x - x~|² of a unit vector in d dimensions: 1 - d·Σ c_k² P(cell k), exact for a Haar rotation."""
    levels = centroids(d, bits)
    edges = (-1.0, *thresholds(d, bits), 1.0)
    return 1 - d * sum(c * _moment(d, a, b) for c, a, b in zip(levels, edges, edges[1:], strict=False))


def _companded(d: int, count: int) -> list[float]:
    """A start close to the optimum on the positive half: levels of equal mass under the cube root of the density."""
    top = min(1.0, 7 / math.sqrt(d))
    grid = [top * (i + 0.5) / 4096 for i in range(4096)]
    weight = [_density(d, x) ** (1 / 3) for x in grid]
    total, run, found = sum(weight), 0.0, list[float]()
    for x, w in zip(grid, weight, strict=True):
        run += w
        while len(found) < count and run >= total * (len(found) + 0.5) / count:
            found.append(x)
    return found


def _newton(d: int, c: list[float]) -> list[float]:
    """Solve c_k = E[x | cell k] on the positive half: Lloyd's fixed point, by Newton's method on a tridiagonal system.

    Lloyd's own iteration needs tens of thousands of rounds at 8 bits; this takes about six.
    """
    n = len(c)
    for _ in range(60):
        t = [0.0, *((a + b) / 2 for a, b in pairwise(c)), 1.0]
        mass = [_mass(d, t[k], min(t[k + 1], t[k] + 9 / math.sqrt(d))) for k in range(n)]
        mean = [_moment(d, t[k], t[k + 1]) / mass[k] for k in range(n)]
        residual = [c[k] - mean[k] for k in range(n)]
        # d mean_k / d t = f(t) |t - mean_k| / mass_k at either edge, and each inner t moves by half of each neighbour.
        left = [0.5 * _density(d, t[k]) * (mean[k] - t[k]) / mass[k] if k else 0.0 for k in range(n)]
        right = [0.5 * _density(d, t[k + 1]) * (t[k + 1] - mean[k]) / mass[k] if k < n - 1 else 0.0 for k in range(n)]
        step = _tridiagonal([-x for x in left], [1 - x - y for x, y in zip(left, right, strict=True)],
                            [-x for x in right], residual)  # fmt: skip
        c = [a - b for a, b in zip(c, step, strict=True)]
        if max(abs(b) for b in step) < 1e-15:
            break
    return c


def _tridiagonal(lower: list[float], diagonal: list[float], upper: list[float], rhs: list[float]) -> list[float]:
    """Thomas' algorithm; lower[0] and upper[-1] are not used."""
    n = len(rhs)
    u, y = [0.0] * n, [0.0] * n
    for k in range(n):
        below = lower[k] if k else 0.0
        pivot = diagonal[k] - below * (u[k - 1] if k else 0.0)
        u[k] = upper[k] / pivot
        y[k] = (rhs[k] - below * (y[k - 1] if k else 0.0)) / pivot
    for k in range(n - 2, -1, -1):
        y[k] -= u[k] * y[k + 1]
    return y
