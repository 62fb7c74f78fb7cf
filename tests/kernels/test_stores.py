"""Stores: KIVI against a plain reading of it, and the mean of keys that is taken off."""

from __future__ import annotations

import torch

from swarm_kernels.backend import backend_of
from swarm_kernels.rope import Rope
from swarm_kernels.stores import KiviStore, PackedStore, attend
from swarm_kernels.turboquant import Quantizer


def softmax_attention(rows: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """The plain formula in float64."""
    return torch.softmax(scale * rows.double() @ k.double().transpose(-1, -2), -1) @ v.double()


def test_kivi_rounds_keys_by_channel_and_values_by_token() -> None:
    """64 tokens at 2 bits: each group of 32 has four evenly spaced values, and the bytes are 3 bits a value."""
    generator = torch.Generator().manual_seed(0)
    k, v = torch.randn(1, 2, 64, 32, generator=generator), torch.randn(1, 2, 64, 32, generator=generator)
    store = KiviStore(32, 2, 2, backend_of("torch"))
    store.append(k, v, torch.arange(64)[None, None])
    pairs = ((k[0, 1, 32:, 5], store.keys()[0, 1, 32:, 5]), (v[0, 1, 40], store.values()[0, 1, 40]))
    for group, back in pairs:
        levels = back.unique()
        assert len(levels) == 4
        gaps = levels.diff()
        assert torch.allclose(gaps, gaps.mean(), rtol=1e-2)
        assert float((back - group).abs().max()) <= float(gaps.mean()) * 0.51
    assert store.nbytes - store.positions.nbytes == 2 * 64 * 32 * 2 * (2 + 1) // 8


def test_a_large_constant_in_the_keys_costs_nothing_once_its_mean_is_off() -> None:
    """Keys with a constant before rotation ten times their spread: with the mean off attention errs 3x less."""
    generator = torch.Generator().manual_seed(1)
    rope = Rope(1.0 / 10000.0 ** (torch.arange(0, 64, 2) / 64))
    at = torch.arange(300)[None, None]
    plain = torch.randn(1, 2, 300, 64, generator=generator) + 10 * torch.randn(1, 2, 1, 64, generator=generator)
    k, v = rope.turn(plain, at), torch.randn(1, 2, 300, 64, generator=generator)
    rows = torch.randn(1, 2, 4, 64, generator=generator)
    exact = softmax_attention(rows, k, v, 0.125)
    errors = []
    for centred in (None, rope):
        store = PackedStore(Quantizer(64, 4, 0, True), Quantizer(64, 8, 1, True), backend_of("torch"), centred)
        store.append(k[:, :, :200], v[:, :, :200], at[:, :, :200])
        store.append(k[:, :, 200:], v[:, :, 200:], at[:, :, 200:])
        errors.append(float((store.attend(rows, 0.125)[0] - exact).norm()))
        assert float((store.keys() - k).norm() / k.norm()) < 0.15
    assert errors[1] < errors[0] / 3


def test_attention_of_a_store_is_that_of_what_it_unpacks_to() -> None:
    """The path over codes equals plain attention over the dequantised keys, 2,500 of them in three runs."""
    generator = torch.Generator().manual_seed(2)
    k, v = (torch.randn(2, 2, 2500, 32, generator=generator) for _ in range(2))
    at = torch.arange(2500).repeat(2, 1, 1)
    at[1, :, ::7] = -1  # a row with holes: they are closed
    store = PackedStore(Quantizer(32, 4, 0), Quantizer(32, 3, 1), backend_of("torch"))
    store.append(k, v, at)
    rows = torch.randn(2, 2, 3, 32, generator=generator)
    out, lse = store.attend(rows, 0.2)
    hidden = (store.positions < 0)[:, :, None]
    values = torch.zeros_like(store.keys())
    for row, count in enumerate((store.positions >= 0).sum(-1)[:, 0].tolist()):
        wanted = v[row, :, at[row, 0] >= 0]
        values[row, :, :count] = Quantizer(32, 3, 1).quantize(wanted).dequantize()
    expected, expected_lse = attend(backend_of("torch"), rows, store.keys(), values, hidden, 0.2)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(lse, expected_lse, atol=1e-4, rtol=1e-4)
    assert (store.positions >= 0).sum(-1).tolist() == [[2500], [2142]]
