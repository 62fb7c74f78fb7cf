"""The Triton kernel of TriAttention's score computes what float64 does."""

from __future__ import annotations

import pytest
import torch

from swarm_kernels.errors import BadTensor

pytest.importorskip("triton")
from swarm_kernels.ops.score.kernel import score


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("d", [40, 64, 80, 96, 128, 256])
@pytest.mark.parametrize(("n", "group"), [(1, 1), (131, 7)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_equals_float64(d: int, n: int, group: int, dtype: torch.dtype, device: str) -> None:
    """Keys inside a buffer of NaN, centres for each row of the batch or for all, odd numbers of keys."""
    generator = torch.Generator().manual_seed(d + n)
    buffer = torch.full((2, 3, n + 5, d), torch.nan, dtype=dtype, device=device)
    buffer[:, :, :n] = torch.randn(2, 3, n, d, generator=generator).to(dtype)
    keys = buffer[:, :, :n]
    spread = torch.rand(3, group, d // 2, generator=generator)
    re, im = keys.cpu().double().chunk(2, -1)
    size = (re**2 + im**2).sqrt()
    for rows in (1, 2):
        centre = torch.randn(rows, 3, group, d, generator=generator)
        found = score(keys, centre.to(device), spread.to(device)).cpu().double()
        expected = torch.einsum("bhtd,bhgd->bhgt", keys.cpu().double(), centre.expand(2, -1, -1, -1).double())
        expected += torch.einsum("bhtf,hgf->bhgt", size, spread.double())
        torch.testing.assert_close(found, expected, atol=2e-5 * d**0.5, rtol=1e-5)


def test_refusals(device: str) -> None:
    """Centres and spreads of other shapes than the keys' are refused."""
    keys, centre = torch.zeros(2, 3, 4, 64, device=device), torch.zeros(1, 3, 2, 64, device=device)
    spread = torch.zeros(3, 2, 32, device=device)
    with pytest.raises(BadTensor, match="centres"):
        score(keys, centre[..., :32], spread)
    with pytest.raises(BadTensor, match="spreads"):
        score(keys, centre, spread[:, :1])
