"""TriAttention's score: the collapsed form is the defined one, and foretells what queries attend to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from swarm_kernels.calibration import Calibration, calibrate
from swarm_kernels.errors import BadTensor
from swarm_kernels.ops.score import score
from swarm_kernels.rope import Rope
from swarm_kernels.triattention import aim, exact_score
from tests.kernels.models import KINDS, tiny, tokens

ROPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "yarn": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 512,
    },
}


def made_up(heads: int = 4, d: int = 32, scaling: float = 1.0) -> Calibration:
    """Random statistics that a real model could have."""
    generator = torch.Generator().manual_seed(1)
    mean = torch.complex(
        torch.randn(1, heads, d // 2, generator=generator), torch.randn(1, heads, d // 2, generator=generator)
    )
    speeds = 1.0 / 10000.0 ** (torch.arange(0, d, 2) / d)
    return Calibration(mean, mean.abs() * 1.5, Rope(speeds, scaling), 100)


@pytest.mark.parametrize("now", [50, 3000, 200_000])
def test_collapsed_form_is_the_defined_score(now: int) -> None:
    """One product with the cached key equals the mean over 17 offsets of un-rotated series, far out too."""
    calibration = made_up()
    positions = torch.arange(50)[None, None] * (now // 50)
    keys = calibration.rope.turn(torch.randn(2, 2, 50, 32, generator=torch.Generator().manual_seed(2)), positions)
    slow = exact_score(keys, positions, calibration, 0, now)
    centre, spread = aim(calibration, 0, 2, torch.tensor([now, now]))
    fast = score(keys, centre, spread)
    torch.testing.assert_close(fast.double(), slow, atol=1e-4 * float(slow.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rope", ROPES)
def test_score_is_the_mean_logit_of_real_queries(kind: str, rope: str) -> None:
    """With queries that are all the same before rotation the score is their exact mean logit, q_norm, biases, YaRN in.

    The reference is brute force: the model's own queries at the coming positions times the cached keys.
    """
    model = tiny(kind, layers=1, **ROPES[rope])
    ids = tokens(1, 40)
    same = torch.full((1, 300), 7)
    calibration = calibrate(model, [same])
    assert torch.allclose(calibration.concentration, torch.ones_like(calibration.concentration), atol=1e-3)
    keys, queries = rotated(model, ids)[1], rotated(model, same)[0]
    offsets = (1, 2, 4, 8, 16, 32, 64, 128)
    now = 41
    coming = torch.stack([queries[0, :, now + offset] for offset in offsets])  # [offsets, Hq, d]
    expected = torch.einsum("ohgd,hnd->hgn", coming.unflatten(1, (2, 2)), keys[0]) / len(offsets)
    centre, spread = aim(calibration, 0, 2, torch.tensor([now]), offsets)
    found = score(keys, centre, spread)[0]
    torch.testing.assert_close(found, expected, atol=2e-3 * float(expected.abs().max()), rtol=1e-3)


def rotated(model: Any, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys of the first layer, computed by hand as the model does it."""
    attention, hidden = (
        model.model.layers[0].self_attn,
        model.model.layers[0].input_layernorm(model.model.embed_tokens(ids)),
    )
    shape = (*ids.shape, -1, attention.head_dim)
    q, k = attention.q_proj(hidden).view(shape), attention.k_proj(hidden).view(shape)
    if hasattr(attention, "q_norm"):
        q, k = attention.q_norm(q), attention.k_norm(k)
    cos, sin = model.model.rotary_emb(hidden, torch.arange(ids.shape[1])[None])
    turned = []
    for x in (q.transpose(1, 2), k.transpose(1, 2)):
        half = torch.cat([-x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]], -1)
        turned.append((x * cos[:, None] + half * sin[:, None]).detach())
    return turned[0], turned[1]


def test_score_does_not_depend_on_order_or_origin() -> None:
    """Keys permuted, scores are permuted; text and queries moved by 777 positions, scores stay."""
    calibration = made_up()
    plain = torch.randn(1, 2, 20, 32, generator=torch.Generator().manual_seed(2))
    at = torch.arange(20)[None, None]
    centre, spread = aim(calibration, 0, 2, torch.tensor([20]))
    base = score(calibration.rope.turn(plain, at), centre, spread)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    permuted = score(calibration.rope.turn(plain, at)[:, :, order], centre, spread)
    torch.testing.assert_close(permuted, base[..., order])
    moved_centre, _ = aim(calibration, 0, 2, torch.tensor([797]))
    moved = score(calibration.rope.turn(plain, at + 777), moved_centre, spread)
    torch.testing.assert_close(moved, base, atol=2e-3, rtol=1e-3)


def test_calibration_counts_no_padding_and_no_skipped_column() -> None:
    """Padding is left out, `skip` leaves the first columns out, and the model's own attention is set again after."""
    model = tiny("qwen3")
    model.set_attn_implementation("sdpa")
    ids = tokens(2, 20)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    assert calibrate(model, [(ids, mask)]).tokens == 35
    assert calibrate(model, [ids], skip=12).tokens == 16
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(BadTensor):
        calibrate(model, [ids], skip=20)


def test_calibration_is_kept_in_a_file(tmp_path: Path) -> None:
    """What is saved is read back equal."""
    calibration = calibrate(tiny("qwen2", rope_type="yarn", factor=4.0), [tokens(2, 30)])
    calibration.save(tmp_path / "calibration.safetensors")
    back = Calibration.load(tmp_path / "calibration.safetensors")
    assert torch.equal(back.mean, calibration.mean)
    assert torch.equal(back.length, calibration.length)
    assert torch.equal(back.rope.speeds, calibration.rope.speeds)
    assert back.rope.scaling == calibration.rope.scaling != 1.0
    assert back.tokens == 60


def test_the_more_queries_gather_the_better_the_score_foretells() -> None:
    """Rank correlation with the mean logit of real, varied queries: high where a bias gathers them, low where not."""
    found = []
    for bias in (0.0, 8.0):
        model = tiny("qwen2", layers=1)
        with torch.no_grad():
            model.model.layers[0].self_attn.q_proj.bias.mul_(bias)
        calibration = calibrate(model, [tokens(4, 128, 2)])
        queries, keys = rotated(model, tokens(1, 140))
        offsets, now = tuple(range(1, 41)), 99
        coming = queries[0, :, now + 1 : now + 41].mean(1)  # [Hq, d]
        real = torch.einsum("hgd,hnd->hgn", coming.unflatten(0, (2, 2)), keys[0, :, :100])
        centre, spread = aim(calibration, 0, 2, torch.tensor([now]), offsets)
        ranks = [x.argsort(-1).argsort(-1).double() for x in (score(keys[:, :, :100], centre, spread)[0], real)]
        a, b = (r - r.mean(-1, keepdim=True) for r in ranks)
        correlation = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
        found.append((float(calibration.concentration.mean()), float(correlation.mean())))
    (scattered, low), (gathered, high) = found
    assert scattered < 0.5 < 0.9 < gathered
    assert low < 0.8 < 0.95 < high


def test_bands_are_halves_not_neighbours() -> None:
    """Keys with interleaved bands, brought to halves, have the score that their own layout defines."""
    calibration = made_up()
    generator = torch.Generator().manual_seed(4)
    bands = torch.complex(*torch.randn(2, 1, 2, 30, 16, generator=generator))  # band f of each key, un-rotated
    at = torch.arange(30)
    turned = bands * torch.exp(1j * at[:, None] * calibration.rope.speeds)
    interleaved = torch.view_as_real(turned).flatten(-2)
    halves = interleaved.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    centre, spread = aim(calibration, 0, 2, torch.tensor([30]), (1, 2))
    ahead = torch.exp(1j * torch.tensor([31, 32])[:, None] * calibration.rope.speeds)
    coming = (calibration.mean[0].unflatten(0, (2, 2))[:, :, None] * ahead).mean(2)  # [Hkv, G, F]
    defined = torch.einsum("hgf,bhnf->bhgn", coming, turned.conj()).real
    defined = defined + torch.einsum("hgf,bhnf->bhgn", spread, bands.abs())
    torch.testing.assert_close(score(halves, centre, spread), defined, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(score(interleaved, centre, spread), defined, atol=1.0)
