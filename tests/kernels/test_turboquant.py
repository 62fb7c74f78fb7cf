"""The quantiser reaches the exact distortion on any input, and stores what it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from swarm_kernels.codebook import distortion
from swarm_kernels.errors import BadTensor, Unsupported
from swarm_kernels.rotation import rotation_matrix
from swarm_kernels.turboquant import Quantizer

BOUND = {1: 0.68017, 2: 0.17004, 3: 0.04251, 4: 0.01063}


def inputs(kind: str, d: int, generator: torch.Generator) -> Tensor:
    """Vectors, float32 [8, d]."""
    gaussian = torch.randn(8, d, generator=generator)
    if kind == "gaussian":
        return gaussian
    if kind == "one-hot":
        return torch.eye(d)[torch.randperm(d, generator=generator)[:8]]
    if kind == "heavy-tailed":
        return gaussian / torch.rand(8, d, generator=generator)
    return gaussian + 5  # constant offset


@pytest.mark.parametrize("d", [64, 128])
@pytest.mark.parametrize(
    ("kind", "tolerance"), [("gaussian", 0.02), ("one-hot", 0.04), ("heavy-tailed", 0.04), ("constant offset", 0.04)]
)
def test_distortion_is_exact(d: int, kind: str, tolerance: float) -> None:
    """Over rotations, E|x - x̂|² of unit vectors is the codebook's at 1 to 4 bits, and below the theorem's bound."""
    generator = torch.Generator().manual_seed(1)
    total = dict.fromkeys(BOUND, 0.0)
    seeds = 600  # of one vector, the error at 4 bits varies by a third from rotation to rotation
    for seed in range(seeds):
        x = inputs(kind, d, generator)
        x = x / x.norm(dim=-1, keepdim=True)
        for bits in BOUND:
            error = Quantizer(d, bits, seed).quantize(x).dequantize() - x
            total[bits] += float(error.square().sum(-1).mean()) / seeds
    for bits, measured in total.items():
        assert abs(measured / distortion(d, bits) - 1) < tolerance, (bits, measured)
        assert measured < BOUND[bits]


@pytest.mark.parametrize("d", [40, 64, 80, 96, 128, 256])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_stored_bytes_are_true(d: int, bits: int) -> None:
    """ceil(bits·d/8) + 2 bytes a vector, summed from the tensors, for odd numbers of tokens."""
    packed = Quantizer(d, bits, 0).quantize(torch.randn(1, 3, 17, d))
    assert packed.nbytes == packed.codes.nbytes + packed.norms.nbytes == 51 * (-(-bits * d // 8) + 2)
    assert packed.shape == (1, 3, 17, d)
    assert packed.codes.untyped_storage().nbytes() == packed.codes.nbytes


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_unbiased_scale_undoes_the_shrinking(bits: int) -> None:
    """<x̂, x> = |x|² for every vector with `unbiased`; without it rounding shrinks by 1 - D."""
    x = torch.randn(256, 128, generator=torch.Generator().manual_seed(2)) * 3
    for unbiased, expected in ((True, 1.0), (False, 1 - distortion(128, bits))):
        back = Quantizer(128, bits, 4, unbiased).quantize(x).dequantize()
        slope = float(((back * x).sum(-1) / x.square().sum(-1)).mean())
        assert abs(slope - expected) < 0.004


@pytest.mark.parametrize("d", [40, 64, 80, 256])
def test_rotation_is_orthogonal_and_repeatable(d: int) -> None:
    """Powers of two and other sizes: Π Πᵀ = 1; another seed is another rotation."""
    matrix = rotation_matrix(d, 3)
    assert torch.allclose(matrix @ matrix.T, torch.eye(d), atol=1e-5)
    assert not torch.allclose(matrix, rotation_matrix(d, 4), atol=1e-2)
    rotation_matrix.cache_clear()
    assert torch.equal(matrix, rotation_matrix(d, 3))


def test_zero_vectors_stay_zero() -> None:
    """Norm 0 is stored, and zeros come back, with either scale."""
    for unbiased in (False, True):
        packed = Quantizer(64, 4, 0, unbiased).quantize(torch.zeros(3, 64))
        assert packed.norms.tolist() == [0, 0, 0]
        assert torch.equal(packed.dequantize(), torch.zeros(3, 64))


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e6])
def test_what_cannot_be_stored_is_refused(poison: float) -> None:
    """NaN, infinity and a norm beyond float16 raise instead of spreading."""
    x = torch.randn(4, 64)
    x[2, 5] = poison
    with pytest.raises(BadTensor):
        Quantizer(64, 4, 0).quantize(x)


def test_bad_shapes_are_refused() -> None:
    """A vector of another size, integers, and a head size that is no multiple of 8."""
    with pytest.raises(BadTensor):
        Quantizer(64, 4, 0).quantize(torch.randn(4, 32))
    with pytest.raises(BadTensor):
        Quantizer(64, 4, 0).quantize(torch.ones(4, 64, dtype=torch.int64))
    with pytest.raises(Unsupported):
        Quantizer(36, 4, 0)
