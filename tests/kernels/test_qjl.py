"""The inner-product quantiser is what its paper says, and why no cache uses it."""

from __future__ import annotations

import pytest
import torch

from swarm_kernels.qjl import InnerProductQuantizer
from swarm_kernels.turboquant import Quantizer

D = 128


def errors(bits: int, orthogonal: bool) -> tuple[float, float]:
    """(slope of estimated on true inner products, d times their mean squared error), over sketches and pairs."""
    generator = torch.Generator().manual_seed(bits)
    products, errors = 0.0, []
    estimates = 0.0
    for seed in range(40):
        x, y = (torch.nn.functional.normalize(torch.randn(400, D, generator=generator), dim=-1) for _ in range(2))
        y = torch.nn.functional.normalize(y + x, dim=-1)  # so that there is a product to have a slope on
        back = InnerProductQuantizer(D, bits, seed, orthogonal).quantize(x).dequantize()
        true, found = (x * y).sum(-1), (back * y).sum(-1)
        products, estimates = products + float(true.square().sum()), estimates + float((true * found).sum())
        free = torch.nn.functional.normalize(torch.randn(400, D, generator=generator), dim=-1)
        errors.append(float(((back - x) * free).sum(-1).square().mean()))
    return estimates / products, D * sum(errors) / len(errors)


@pytest.mark.parametrize(("bits", "low", "high"), [(1, 1.5, 1.62), (2, 0.55, 0.59), (3, 0.178, 0.19), (4, 0.05, 0.056)])
def test_gaussian_sketch_is_unbiased_with_the_exact_error(bits: int, low: float, high: float) -> None:
    """Slope 1, and d·D_prod near (π/2)·D_mse(bits - 1): .053 at 4 bits, not the .047 that is printed."""
    slope, error = errors(bits, orthogonal=False)
    assert abs(slope - 1) < 0.02
    assert low < error < high


def test_orthogonal_sketch_has_less_error() -> None:
    """A random rotation as the sketch: .0189 at 4 bits."""
    slope, error = errors(4, orthogonal=True)
    assert abs(slope - 1) < 0.02
    assert abs(error / 0.0189 - 1) < 0.05


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_plain_quantiser_errs_less_at_equal_bits(bits: int) -> None:
    """Why it is off: the plain quantiser's inner products err three to six times less, with two bytes less a vector."""
    generator = torch.Generator().manual_seed(5)
    x, y = (torch.nn.functional.normalize(torch.randn(4000, D, generator=generator), dim=-1) for _ in range(2))
    sketched, plain = InnerProductQuantizer(D, bits, 1).quantize(x), Quantizer(D, bits, 1).quantize(x)
    worse, better = (float(((p.dequantize() - x) * y).sum(-1).square().mean()) for p in (sketched, plain))
    assert 3 < worse / better < 7
    assert sketched.nbytes - plain.nbytes == 2 * 4000
