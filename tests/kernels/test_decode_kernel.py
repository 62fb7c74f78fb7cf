"""The Triton kernel of split-K attention over packed keys and values computes what float64 does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from swarm_kernels.codebook import centroids
from swarm_kernels.errors import BadTensor, Unsupported
from swarm_kernels.ops.decode import reference
from swarm_kernels.turboquant import Packed, Quantizer

pytest.importorskip("triton")
from swarm_kernels.ops.decode import kernel

B, HKV = 2, 2
HEAD_SIZES = (40, 64, 80, 96, 128, 256)


def packed(n: int, d: int, bits: int, seed: int, device: str) -> Packed:
    """Random vectors, packed, in the middle of a buffer of 0xFF and NaN."""
    x = torch.randn(B, HKV, n, d, generator=torch.Generator().manual_seed(seed))
    held = Quantizer(d, bits, seed, unbiased=True).quantize(x)
    codes = torch.full((B, HKV, n + 9, held.codes.shape[-1]), 255, dtype=torch.uint8, device=device)
    norms = torch.full((B, HKV, n + 9), torch.nan, dtype=torch.float16, device=device)
    codes[:, :, :n], norms[:, :, :n] = held.codes.to(device), held.norms.to(device)
    return Packed(codes[:, :, :n], norms[:, :, :n], held.quantizer)


def attention(q: Tensor, k: Packed, v: Packed, lengths: Tensor, scale: float, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over what is packed, rotated values out, a row of queries at a time in float64."""
    out = torch.zeros(*q.shape, dtype=torch.float64)
    lse = torch.full(q.shape[:3], -torch.inf, dtype=torch.float64)
    spaces = [packed.quantizer.rotation().double() for packed in (k, v)]
    for row in range(B):
        for head in range(HKV):
            m = int(lengths[row, head])
            keys, values = (
                packed.dequantize().cpu()[row, head, :m].double() @ space.T
                for packed, space in zip((k, v), spaces, strict=True)
            )
            for i in range(q.shape[2]):
                logits = scale * keys @ q[row, head, i].double() + bias[row, head, i, :m].double()
                lse[row, head, i] = torch.logsumexp(logits, 0)
                out[row, head, i] = torch.softmax(logits, 0).nan_to_num(0) @ values
    return out, lse


def run(
    q: Tensor, k: Packed, v: Packed, lengths: Tensor, scale: float, bias: Tensor | None, splits: int, device: str
) -> tuple[Tensor, Tensor]:
    """The kernel's answer, on the CPU."""
    bias = None if bias is None else bias.to(device)
    levels = k.quantizer.levels(device), v.quantizer.levels(device)
    out, lse = kernel.decode(
        q.to(device), k.codes, k.norms, levels[0], v.codes, v.norms, levels[1], lengths.to(device), scale, bias, splits
    )
    return out.cpu(), lse.cpu()


def off(found: Tensor, expected: Tensor) -> float:
    """‖found - expected‖ / ‖expected‖."""
    return float(torch.linalg.vector_norm(found.double() - expected) / torch.linalg.vector_norm(expected))


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("d", HEAD_SIZES)
@pytest.mark.parametrize(("kbits", "vbits"), [(4, 4), (4, 3), (3, 2)])
def test_equals_float64(d: int, kbits: int, vbits: int, device: str) -> None:
    """Every head size and width, ragged lengths, a bias that hides keys and whole rows, NaN wherever nobody wrote."""
    n = 197
    k, v = packed(n, d, kbits, 1, device), packed(n, d, vbits, 2, device)
    lengths = torch.tensor([[n, 77], [0, 1]], dtype=torch.int32)
    generator = torch.Generator().manual_seed(d)
    q, bias = torch.randn(B, HKV, 5, d, generator=generator), torch.randn(B, HKV, 5, n, generator=generator)
    bias[:, :, 0, ::3] = -torch.inf
    bias[0, 1, 2] = -torch.inf
    out, lse = run(q, k, v, lengths, d**-0.5, bias, 3, device)
    expected, expected_lse = attention(q, k, v, lengths, d**-0.5, bias)
    assert off(out, expected) < 3e-3
    torch.testing.assert_close(lse.double(), expected_lse, atol=1e-2, rtol=0)
    assert float(out[1, 0].abs().max()) == float(out[0, 1, 2].abs().max()) == 0  # rows that see nothing


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize(("n", "splits"), [(1, 1), (1, 64), (64, 2), (300, 1), (300, 7), (300, 64)])
def test_any_number_of_splits(n: int, splits: int, device: str) -> None:
    """More splits than tiles, or than keys, change nothing; the same call gives the same bits."""
    k, v = packed(n, 64, 4, 1, device), packed(n, 64, 3, 2, device)
    lengths = torch.full((B, HKV), n, dtype=torch.int32)
    q = torch.randn(B, HKV, 4, 64, generator=torch.Generator().manual_seed(n))
    out, lse = run(q, k, v, lengths, 0.2, None, splits, device)
    expected, expected_lse = attention(q, k, v, lengths, 0.2, torch.zeros(B, HKV, 4, n))
    assert off(out, expected) < 3e-3
    torch.testing.assert_close(lse.double(), expected_lse, atol=1e-2, rtol=0)
    if splits == 7:
        again = run(q, k, v, lengths, 0.2, None, splits, device)
        assert torch.equal(out, again[0]) and torch.equal(lse, again[1])


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("rows", [1, 4, 7, 8, 33])
def test_any_number_of_rows(rows: int, device: str) -> None:
    """1, 4, 7 and 8 query heads a KV head, and more rows than a block holds, each with the keys of its own KV head."""
    k, v = packed(50, 64, 4, 1, device), packed(50, 64, 4, 2, device)
    lengths = torch.tensor([[50, 20], [31, 50]], dtype=torch.int32)
    q = torch.randn(B, HKV, rows, 64, generator=torch.Generator().manual_seed(rows))
    none = torch.zeros(B, HKV, rows, 50)
    out, _ = run(q, k, v, lengths, 0.2, None, 2, device)
    expected, _ = attention(q, k, v, lengths, 0.2, none)
    assert off(out, expected) < 3e-3
    swapped, _ = attention(q.flip(1), k, v, lengths, 0.2, none)
    assert off(out.flip(1), swapped) > 0.5  # the heads of a wrong mapping would be found


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_sizes_beyond_float16(size: int, device: str) -> None:
    """Tiny and huge queries and values lose nothing: logits of thousands, values of 1e-4 and of 1e4."""
    d, n = 64, 90
    quantizers = Quantizer(d, 4, 1), Quantizer(d, 4, 2)
    generator = torch.Generator().manual_seed(0)
    k = quantizers[0].quantize(torch.randn(B, HKV, n, d, generator=generator))
    v = quantizers[1].quantize(torch.randn(B, HKV, n, d, generator=generator) * (1e-4 if size < 1 else 1e2))
    k, v = (Packed(x.codes.to(device), x.norms.to(device), x.quantizer) for x in (k, v))
    lengths = torch.full((B, HKV), n, dtype=torch.int32)
    q = size * torch.randn(B, HKV, 3, d, generator=generator)
    out, lse = run(q, k, v, lengths, 0.1, None, 1, device)
    expected, expected_lse = attention(q, k, v, lengths, 0.1, torch.zeros(B, HKV, 3, n))
    assert bool(out.isfinite().all())
    torch.testing.assert_close(lse.double(), expected_lse, atol=2e-3, rtol=2e-3)
    if size <= 1:
        assert off(out, expected) < 3e-3


@pytest.mark.usefixtures("poisoned")
@pytest.mark.parametrize("d", [40, 128])
def test_merge_never_reads_an_empty_part(d: int, device: str) -> None:
    """Parts join to the whole; one without keys may hold NaN; all parts empty give zeros."""
    generator = torch.Generator().manual_seed(3)
    outs, lses = torch.randn(5, 2, 3, d, generator=generator), torch.randn(5, 2, 3, generator=generator)
    lses[1], outs[1] = -torch.inf, torch.nan
    lses[:, 1, 2] = -torch.inf
    out, lse = kernel.merge(outs.to(device), lses.to(device))
    expected, expected_lse = reference.merge(outs.nan_to_num(0).double(), lses.double())
    torch.testing.assert_close(out.cpu().double(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(lse.cpu().double(), expected_lse, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("d", HEAD_SIZES)
def test_polynomials_follow_the_codebooks(d: int) -> None:
    """Exact for 2 and 3 bits, within a thousandth of the greatest level for 4."""
    for bits, most in ((2, 1e-6), (3, 1e-6), (4, 1e-3)):
        levels = torch.tensor(centroids(d, bits), dtype=torch.float64)
        top, *terms = kernel.polynomial(levels.tolist())
        w = (2 * torch.arange(2**bits) + 1) / 2**bits - 1
        found = top * sum(c * w.double() ** (2 * i + 1) for i, c in enumerate(terms))
        assert float((found - levels).abs().max()) < most * top


def test_refusals(device: str) -> None:
    """Five bits, levels of no codebook, codes of another width and rows that are not contiguous are refused."""
    k, v = packed(9, 64, 4, 1, device), packed(9, 64, 4, 2, device)
    q, lengths = torch.randn(B, HKV, 4, 64, device=device), torch.full((B, HKV), 9, dtype=torch.int32, device=device)
    levels = v.quantizer.levels(device)
    with pytest.raises(Unsupported, match="2, 3 and 4 bits"):
        kernel.decode(q, k.codes, k.norms, torch.zeros(32), v.codes, v.norms, levels, lengths, 1.0)
    with pytest.raises(Unsupported, match="no codebook"):
        steps = torch.tensor([-9.0, -2, -1, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 9], device=device)
        kernel.decode(q, k.codes, k.norms, steps, v.codes, v.norms, levels, lengths, 1.0)
    with pytest.raises(BadTensor, match="hold no"):
        kernel.decode(q, k.codes[..., :24], k.norms, levels, v.codes, v.norms, levels, lengths, 1.0)
    with pytest.raises(BadTensor, match="not contiguous"):
        flipped = k.codes.transpose(-1, -2).contiguous().transpose(-1, -2)
        kernel.decode(q, flipped, k.norms, levels, v.codes, v.norms, levels, lengths, 1.0)
    with pytest.raises(BadTensor, match="do not fit"):
        kernel.decode(q[:1], k.codes, k.norms, levels, v.codes, v.norms, levels, lengths, 1.0)
