"""A compressed cache among the things that users do: other texts, failures, types, rotations; nothing hidden."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch

from swarm_kernels.cache import CompressedCache
from swarm_kernels.errors import BadTensor, Unsupported
from swarm_kernels.policy import Policy
from tests.kernels.models import KINDS, logits, tiny, tokens


def test_one_cache_is_one_text() -> None:
    """A second generate() goes on with a longer text; with a shorter one, and another batch, it is refused in words."""
    model = tiny()
    ids = tokens(1, 40)
    policy = Policy(bits_k=8, bits_v=8, window=4, slack=2, sinks=0)
    cache, whole = CompressedCache(model, policy), CompressedCache(model, policy)
    first = model.generate(ids, past_key_values=cache, max_new_tokens=5, do_sample=False)
    both = torch.cat([first, tokens(1, 6, 3)], 1)
    said = model.generate(both, past_key_values=cache, max_new_tokens=5, do_sample=False)
    logits(model, ids, whole)
    for step in range(40, 44):
        logits(model, both[:, step : step + 1], whole)
    assert torch.equal(logits(model, both[:, 44:], whole)[:, -1:].argmax(-1), said[:, 51:52])
    with pytest.raises(BadTensor, match="positions do not go on"):
        logits(model, ids, cache, position_ids=torch.arange(40)[None])
    with pytest.raises(BadTensor, match="no new token"):
        logits(model, ids[:, :0], cache)
    with pytest.raises(BadTensor, match="2 rows"):
        logits(model, tokens(2, 1), cache)


def test_a_step_that_failed_halfway_is_noticed() -> None:
    """Where a step broke off between two layers, the next one is refused instead of answering from unequal layers."""
    model = tiny()
    cache = CompressedCache(model, Policy(window=4, slack=2, sinks=0))
    logits(model, tokens(1, 20), cache)

    def breaks(*arguments: Any) -> None:
        raise MemoryError

    hook = model.model.layers[0].mlp.register_forward_hook(breaks)
    with pytest.raises(MemoryError):
        logits(model, tokens(1, 1), cache)
    hook.remove()
    with pytest.raises(Unsupported, match="failed halfway"):
        logits(model, tokens(1, 1), cache)
    cache.reset()
    assert logits(model, tokens(1, 20), cache).isfinite().all()


def test_positions_that_do_not_fit_are_refused() -> None:
    """A model of 4,096 positions keeps them in 16 bits: 32,767 is the last that is taken, none wraps around."""
    model = tiny()
    policy = Policy(window=0, slack=1, sinks=0)
    cache = CompressedCache(model, policy)
    logits(model, tokens(1, 8), cache, position_ids=torch.arange(32_760, 32_768)[None])
    assert cache.layers[0].store.positions.max() == 32_767
    with pytest.raises(BadTensor, match="position 32768 is beyond 32767"):
        logits(model, tokens(1, 1), cache, position_ids=torch.tensor([[32_768]]))


def test_nothing_held_carries_a_gradient() -> None:
    """Called with gradients on, the cache holds no graph of what was computed."""
    model = tiny()
    cache = CompressedCache(model, Policy(window=4, slack=2, evict="rkv", budget=10, prune_prompt=True))
    for ids in (tokens(1, 30), tokens(1, 1)):
        model(ids, past_key_values=cache)
    layer = cache.layers[1]
    assert not any(t.requires_grad for t in [*layer.near.values(), *layer.store.held.values()])


def test_no_copy_of_what_was_compressed_is_alive() -> None:
    """The live tensors of the process grow by what the cache reports, not by a full cache hidden somewhere."""
    model = tiny(head_dim=64).to(torch.bfloat16)
    ids = tokens(1, 600)
    before = alive()
    cache = CompressedCache(model, Policy(bits_k=4, bits_v=4, window=0, slack=1, sinks=0))
    logits(model, ids, cache)
    grown, report = alive() - before, cache.report()
    assert report.full_nbytes == 2 * 2 * 600 * 64 * 2 * 2
    assert report.nbytes <= grown < report.nbytes + 40_000 < report.full_nbytes / 2  # rotations and codebooks: 33 KiB


def alive() -> int:
    """The bytes of all storages of tensors that Python knows of, each once."""
    gc.collect()
    storages = {}
    for found in gc.get_objects():
        if type(found) in (torch.Tensor, torch.nn.Parameter):
            storage = found.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_of_a_model(dtype: torch.dtype) -> None:
    """Every floating type of a model works, and the cache's own parts are of that type."""
    model = tiny(head_dim=32).to(dtype)
    ids = tokens(1, 50)
    cache = CompressedCache(model, Policy(bits_k=8, bits_v=8, window=4, slack=2, sinks=1, prefix=1))
    logits(model, ids[:, :45], cache)
    found, full = logits(model, ids[:, 45:], cache), logits(model, ids, None)[:, 45:]
    assert found.dtype == dtype == cache.layers[0].near["k"].dtype
    assert float((found - full).abs().max()) < 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rope_type", ["yarn", "linear", "llama3"])
@pytest.mark.parametrize("key_mean", [False, True])
def test_rotations_that_are_fixed_are_right(kind: str, rope_type: str, key_mean: bool) -> None:
    """YaRN with its attention factor, linear and Llama 3's: close to the full cache, with the keys' mean off too."""
    more = {"low_freq_factor": 1.0, "high_freq_factor": 4.0} if rope_type == "llama3" else {}
    fixed = {} if rope_type == "linear" else {"original_max_position_embeddings": 512, **more}
    model = tiny(kind, head_dim=32, rope_type=rope_type, factor=8.0, **fixed)
    ids = tokens(1, 60)
    cache = CompressedCache(model, Policy(bits_k=8, bits_v=8, window=4, slack=2, sinks=0, key_mean=key_mean))
    logits(model, ids[:, :50], cache)
    full = logits(model, ids, None)[:, 50:]
    assert float((logits(model, ids[:, 50:], cache) - full).abs().max()) < 0.02


def test_a_model_without_a_head_works() -> None:
    """The decoder alone, as an embedder is loaded."""
    model = tiny("qwen2").model
    cache = CompressedCache(model, Policy(window=0, slack=1, sinks=0))
    with torch.no_grad():
        model(tokens(1, 30), past_key_values=cache)
    assert cache.report().quantised == 2 * 2 * 30


def test_a_long_text_that_goes_on_is_attended_to_in_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """45 tokens at once after a window, in spans of 7: the logits of one span, with padding in a row."""
    model = tiny()
    ids, mask = tokens(2, 75), torch.ones(2, 75, dtype=torch.long)
    mask[1, :9] = 0
    at = (mask.cumsum(1) - 1).clamp_min(0)
    found = []
    for span in (512, 7):
        monkeypatch.setattr("swarm_kernels.layer.SPAN", span)
        cache = CompressedCache(model, Policy(window=6, slack=3, sinks=2, prefix=2))
        logits(model, ids[:, :30], cache, mask[:, :30], position_ids=at[:, :30])
        found.append(logits(model, ids[:, 30:], cache, mask, position_ids=at[:, 30:]))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)
