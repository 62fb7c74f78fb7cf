"""The Triton kernel that quantises and packs writes the codes and norms that float64 asks for."""

from __future__ import annotations

import pytest
import torch

from swarm_kernels.errors import BadTensor, Unsupported
from swarm_kernels.planes import unpack
from swarm_kernels.turboquant import Quantizer

pytest.importorskip("triton")
from swarm_kernels.ops.quantize.kernel import quantize


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("d", [40, 64, 80, 96, 128, 256])
@pytest.mark.parametrize(("bits", "unbiased"), [(2, True), (3, True), (4, False), (4, True)])
def test_equals_float64(d: int, bits: int, unbiased: bool, device: str) -> None:
    """Nearest levels but on a tie within rounding; norms to float16; a zero vector has norm 0, a one-hot is right."""
    quantizer = Quantizer(d, bits, seed=5)
    x = torch.randn(3, 15, d, generator=torch.Generator().manual_seed(d)) * 20
    x[0, 0] = 0
    x[0, 1] = torch.eye(d)[d - 1] * 300
    codes, norms = quantize(x.to(device), quantizer.rotation(device), quantizer.levels(device), bits, unbiased)
    assert codes.shape == (3, 15, d * bits // 8) and norms.shape == (3, 15)
    levels = quantizer.levels().double()
    size = torch.linalg.vector_norm(x.double(), dim=-1)
    y = x.double() @ quantizer.rotation().double().T / size.clamp_min(1e-30)[..., None]
    found = levels[unpack(codes.cpu(), d, bits).long()]
    nearest = (y[..., None] - levels).abs().amin(-1)
    torch.testing.assert_close((y - found).abs(), nearest, atol=2e-6, rtol=0)
    expected = torch.where(size > 0, size**2 / (size * (y * found).sum(-1)), 0) if unbiased else size
    torch.testing.assert_close(norms.cpu().double(), expected, atol=0, rtol=6e-4)
    assert float(norms[0, 0]) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_and_views(dtype: torch.dtype, device: str) -> None:
    """16-bit vectors, and vectors in every second row of a buffer, are read as they are."""
    quantizer = Quantizer(64, 4)
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(0)).to(dtype).to(device)
    wanted = quantize(x[::2].float(), quantizer.rotation(device), quantizer.levels(device), 4, True)
    found = quantize(x[::2], quantizer.rotation(device), quantizer.levels(device), 4, True)
    assert torch.equal(found[0], wanted[0]) and torch.equal(found[1], wanted[1])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter's arithmetic is NumPy's
def test_what_is_not_finite_shows_in_the_norm(device: str) -> None:
    """NaN, infinity and lengths beyond float16 give norms that are not finite; no vector gives no codes."""
    quantizer = Quantizer(64, 4)
    x = torch.randn(4, 64, device=device)
    x[0, 3], x[1, 5], x[2] = torch.nan, torch.inf, 1e4
    rotation, levels = quantizer.rotation(device), quantizer.levels(device)
    _, norms = quantize(x, rotation, levels, 4, False)
    assert norms.isfinite().tolist() == [False, False, False, True]
    codes, norms = quantize(x[:0], rotation, levels, 4, False)
    assert codes.shape == (0, 32) and norms.shape == (0,)


def test_refusals(device: str) -> None:
    """Five bits, a head size that is no multiple of 8, and another codebook's levels are refused."""
    rotation, levels = torch.eye(64, device=device), torch.zeros(16, device=device)
    with pytest.raises(Unsupported, match="2, 3 and 4 bits"):
        quantize(torch.zeros(1, 64, device=device), rotation, levels, 5, False)
    with pytest.raises(Unsupported, match="multiple of 8"):
        quantize(torch.zeros(1, 20, device=device), rotation[:20, :20], levels, 4, False)
    with pytest.raises(BadTensor, match="16 levels"):
        quantize(torch.zeros(1, 64, device=device), rotation, levels, 3, False)
