"""Split-K attention over plain keys and values, reference and kernel, computes what float64 does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from swarm_kernels.errors import BadTensor, Unsupported
from swarm_kernels.ops.dense import reference

pytest.importorskip("triton")
from swarm_kernels.ops.dense import kernel

B, HKV, R = 2, 2, 5


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("attend", [reference.attend, kernel.attend])
@pytest.mark.parametrize("d", [40, 64, 80, 96, 128, 256])
@pytest.mark.parametrize(
    ("n", "splits", "dtype"), [(1, 3, torch.float16), (131, 1, torch.float32), (131, 7, torch.bfloat16)]
)
def test_equals_float64(
    attend: Callable[..., Any], d: int, n: int, splits: int, dtype: torch.dtype, device: str
) -> None:
    """Ragged lengths, NaN beyond them, a bias that hides keys and whole rows."""
    generator = torch.Generator().manual_seed(d + n)
    q = torch.randn(B, HKV, R, d, generator=generator).to(dtype)
    k, v = (torch.randn(B, HKV, n, d, generator=generator).to(dtype) for _ in range(2))
    bias = torch.randn(B, HKV, R, n, generator=generator)
    bias[:, :, 0, ::3] = -torch.inf
    bias[0, 0, 2] = -torch.inf
    lengths = torch.tensor([[n, n // 2], [0, n]], dtype=torch.int32)
    expected = torch.zeros(B, HKV, R, d, dtype=torch.float64)
    expected_lse = torch.full((B, HKV, R), -torch.inf, dtype=torch.float64)
    for row in range(B):
        for head in range(HKV):
            m = int(lengths[row, head])
            keys, values = k[row, head, :m].double(), v[row, head, :m].double()
            logits = 0.2 * q[row, head].double() @ keys.T + bias[row, head, :, :m].double()
            expected[row, head] = torch.softmax(logits, -1).nan_to_num(0) @ values
            expected_lse[row, head] = torch.logsumexp(logits, -1)
            k[row, head, m:], v[row, head, m:] = torch.nan, torch.nan
    moved = [x.to(device) for x in (q, k, v, lengths)]
    out, lse = attend(*moved, 0.2, bias.to(device), splits)
    # The compiled kernel rounds weights to 16 bits, the interpreter and the reference do not.
    torch.testing.assert_close(
        out.cpu().double(), expected, atol=2e-2 if device == "cuda" and dtype != torch.float32 else 2e-5, rtol=1e-4
    )
    torch.testing.assert_close(lse.cpu().double(), expected_lse, atol=2e-5, rtol=1e-5)


def test_refusals(device: str) -> None:
    """Keys of 64 bits and shapes that do not fit are refused."""
    q, k = torch.zeros(B, HKV, R, 64, device=device), torch.zeros(B, HKV, 9, 64, device=device)
    lengths = torch.zeros(B, HKV, dtype=torch.int32, device=device)
    with pytest.raises(Unsupported, match="floating type"):
        kernel.attend(q, k.double(), k.double(), lengths, 1.0)
    with pytest.raises(BadTensor, match="do not fit"):
        kernel.attend(q, k.half(), k.half()[:, :1], lengths, 1.0)
