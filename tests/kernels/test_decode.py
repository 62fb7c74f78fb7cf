"""Split-K attention over packed keys and values equals attention over what they unpack to."""

from __future__ import annotations

import pytest
import torch

from swarm_kernels.ops.decode.reference import decode, merge
from swarm_kernels.turboquant import Packed, Quantizer

B, HKV, R = 2, 2, 6


def packed(n: int, d: int, bits: int, seed: int) -> tuple[Packed, Quantizer]:
    """Random vectors, packed."""
    quantizer = Quantizer(d, bits, seed)
    return quantizer.quantize(torch.randn(B, HKV, n, d, generator=torch.Generator().manual_seed(seed))), quantizer


@pytest.mark.parametrize(("kbits", "vbits"), [(4, 4), (4, 3), (2, 3)])
@pytest.mark.parametrize("splits", [1, 3, 64])
@pytest.mark.parametrize(("n", "d"), [(1, 64), (37, 40), (130, 64)])
def test_equals_plain_attention_in_fp64(kbits: int, vbits: int, splits: int, n: int, d: int) -> None:
    """Ragged lengths, a bias that hides keys, NaN beyond the lengths: output and log-sum-exp as in float64."""
    generator = torch.Generator().manual_seed(n)
    (k, kq), (v, vq) = packed(n, d, kbits, 1), packed(n, d, vbits, 2)
    lengths = torch.tensor([[n, max(1, n // 2)], [0, n]], dtype=torch.int32)
    for row in range(B):
        for head in range(HKV):
            k.norms[row, head, lengths[row, head] :] = torch.nan
            v.norms[row, head, lengths[row, head] :] = torch.nan
    q = torch.randn(B, HKV, R, d, generator=generator)
    bias = torch.randn(B, HKV, R, n, generator=generator)
    bias[:, :, 0, ::3] = -torch.inf
    bias[1, 1, 2] = -torch.inf  # a row that sees nothing
    out, lse = decode(
        q @ kq.rotation().T, k.codes, k.norms, kq.levels(), v.codes, v.norms, vq.levels(), lengths, 0.3, bias, splits
    )
    out = out @ vq.rotation()
    for row in range(B):
        for head in range(HKV):
            m = int(lengths[row, head])
            keys, values = k.dequantize()[row, head, :m].double(), v.dequantize()[row, head, :m].double()
            logits = 0.3 * q[row, head].double() @ keys.T + bias[row, head, :, :m].double()
            expected_lse = torch.logsumexp(logits, -1)
            expected = torch.softmax(logits, -1).nan_to_num(0) @ values
            torch.testing.assert_close(out[row, head].double(), expected, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(lse[row, head].double(), expected_lse, atol=2e-5, rtol=1e-5)


def test_large_logits_do_not_overflow() -> None:
    """Logits of several thousand give finite outputs."""
    (k, kq), (v, vq) = packed(50, 64, 4, 1), packed(50, 64, 4, 2)
    lengths = torch.full((B, HKV), 50, dtype=torch.int32)
    q = 1e3 * torch.randn(B, HKV, R, 64, generator=torch.Generator().manual_seed(0))
    out, lse = decode(q, k.codes, k.norms, kq.levels(), v.codes, v.norms, vq.levels(), lengths, 1.0, splits=7)
    assert bool(out.isfinite().all() and lse.isfinite().all())
    assert float(lse.abs().max()) > 1e3


def test_merge_of_parts_is_attention_over_all() -> None:
    """Outputs over three sets of keys, one of them empty, join to the output over their union."""
    generator = torch.Generator().manual_seed(3)
    logits, values = torch.randn(5, 12, generator=generator), torch.randn(12, 8, generator=generator)
    outs, lses = [], []
    for span in (slice(0, 4), slice(4, 12)):
        outs.append(torch.softmax(logits[:, span], -1) @ values[span])
        lses.append(torch.logsumexp(logits[:, span], -1))
    outs.append(torch.zeros(5, 8))
    lses.append(torch.full((5,), -torch.inf))
    out, lse = merge(torch.stack(outs), torch.stack(lses))
    torch.testing.assert_close(out, torch.softmax(logits, -1) @ values)
    torch.testing.assert_close(lse, torch.logsumexp(logits, -1))
