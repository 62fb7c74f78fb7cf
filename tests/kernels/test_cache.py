"""The compressed cache in transformers: exact where it should be, right in positions, masks and counts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache, MistralConfig, MistralForCausalLM

from swarm_kernels.attention import NAME
from swarm_kernels.cache import CompressedCache
from swarm_kernels.calibration import calibrate
from swarm_kernels.errors import BadPolicy, BadTensor, NothingCompressed, Unsupported
from swarm_kernels.policy import Policy
from tests.kernels.models import KINDS, logits, tiny, tokens

EXACT = {"bits_k": None, "bits_v": None, "evict": "streaming", "prune_prompt": True, "sinks": 2, "prefix": 2}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [0, 5, 100])
def test_nothing_evicted_nothing_changed(kind: str, window: int) -> None:
    """Moved through sinks, store and window, with a budget for everything, each step is as with transformers' cache."""
    model = tiny(kind)
    ids = tokens(2, 40)
    cache = CompressedCache(model, Policy(**EXACT, window=window, slack=3, budget=1000))
    model.set_attn_implementation("sdpa")
    full = DynamicCache(config=model.config)
    for span in ((0, 17), (17, 18), (18, 19), (19, 30), *((i, i + 1) for i in range(30, 40))):
        model.set_attn_implementation("sdpa")
        expected = logits(model, ids[:, slice(*span)], full)
        model.set_attn_implementation(NAME)
        torch.testing.assert_close(logits(model, ids[:, slice(*span)], cache), expected, atol=1e-4, rtol=1e-4)
    assert cache.get_seq_length() == 40


@pytest.mark.parametrize("kind", KINDS)
def test_prefill_is_exact_and_generation_close(kind: str) -> None:
    """The prompt's logits are those of the model without a cache; at 8 bits the next ones are close."""
    model = tiny(kind, head_dim=32)
    ids = tokens(2, 50)
    cache = CompressedCache(model, Policy(bits_k=8, bits_v=8, window=4, slack=2, sinks=0))
    full = logits(model, ids, None)
    assert torch.equal(logits(model, ids[:, :45], cache), logits(model, ids[:, :45], None))
    for step in range(45, 50):
        torch.testing.assert_close(
            logits(model, ids[:, step : step + 1], cache)[:, 0], full[:, step], atol=0.05, rtol=0.05
        )
    report = cache.report()
    # Each layer and KV head: 41 at the prompt's end, then 2 more at every second token.
    assert report.quantised == 2 * 2 * 2 * 45
    assert report.evicted == 0


@pytest.mark.parametrize("kind", KINDS)
def test_generate_equals_a_loop_by_hand(kind: str) -> None:
    """Positions come from the logical length: generate() and a loop with explicit positions say the same tokens."""
    model = tiny(kind)
    ids = tokens(1, 30)
    policy = Policy(
        bits_k=4, bits_v=4, evict="knorm", budget=12, window=4, slack=2, sinks=1, prefix=1, prune_prompt=True
    )
    by_generate = CompressedCache(model, policy)
    said = model.generate(ids, past_key_values=by_generate, max_new_tokens=20, do_sample=False)
    by_hand = CompressedCache(model, policy)
    current, text = ids, ids
    for _ in range(20):
        at = torch.arange(text.shape[1] - current.shape[1], text.shape[1])[None]
        current = logits(model, current, by_hand, position_ids=at)[:, -1:].argmax(-1)
        text = torch.cat([text, current], 1)
    assert said.tolist() == text.tolist()
    assert by_generate.get_seq_length() == 49
    layer = by_generate.layers[0]
    assert layer.store.count + layer.filled + 1 <= 12 + 2  # the budget and the slack
    assert by_generate.report().evicted > 0


@pytest.mark.parametrize("method", [None, "triattention", "snapkv", "pyramidkv", "rkv", "streaming", "knorm"])
def test_left_padding_changes_nothing(method: str | None) -> None:
    """Rows of 30, 22 and 11 tokens in one batch give each what it gives alone, pruned and quantised."""
    model = tiny("llama", head_dim=16)
    calibration = calibrate(model, [tokens(2, 64, 9)])
    evict = {"evict": method, "budget": 9, "prune_prompt": True, "quota": 0.0} if method else {}
    policy = Policy(bits_k=4, bits_v=4, window=3, slack=1, sinks=1, prefix=1, **evict)
    lengths = (30, 22, 11)
    rows = [tokens(1, length, length) for length in lengths]
    batch, mask = torch.zeros(3, 30, dtype=torch.long), torch.zeros(3, 30, dtype=torch.long)
    for index, row in enumerate(rows):
        batch[index, 30 - row.shape[1] :], mask[index, 30 - row.shape[1] :] = row, 1
    following = tokens(3, 6, 77)
    together = CompressedCache(model, policy, calibration)
    found = []
    at = (mask.cumsum(1) - 1).clamp_min(0)
    found.append(logits(model, batch, together, mask, position_ids=at)[:, -1])
    for step in range(6):
        mask = torch.cat([mask, torch.ones(3, 1, dtype=torch.long)], 1)
        at = mask.sum(1, keepdim=True) - 1
        found.append(logits(model, following[:, step : step + 1], together, mask, position_ids=at)[:, -1])
    for index, row in enumerate(rows):
        alone = CompressedCache(model, policy, calibration)
        expected = [logits(model, row, alone)[0, -1]]
        expected += [logits(model, following[index : index + 1, i : i + 1], alone)[0, -1] for i in range(6)]
        torch.testing.assert_close(torch.stack([f[index] for f in found]), torch.stack(expected), atol=2e-4, rtol=2e-4)


def test_generate_with_left_padding() -> None:
    """generate() on a padded batch says for each row what it says alone."""
    model = tiny()
    rows = [tokens(1, 24, 1), tokens(1, 15, 2)]
    batch = torch.cat([rows[0], torch.cat([torch.zeros(1, 9, dtype=torch.long), rows[1]], 1)])
    policy = Policy(bits_k=8, bits_v=8, window=2, slack=1, sinks=0)
    together = model.generate(
        batch, attention_mask=(batch > 0).long(), past_key_values=CompressedCache(model, policy), max_new_tokens=8,
        do_sample=False,
    )  # fmt: skip
    for index, row in enumerate(rows):
        alone = model.generate(row, past_key_values=CompressedCache(model, policy), max_new_tokens=8, do_sample=False)
        assert together[index, -8:].tolist() == alone[0, -8:].tolist()


def test_bytes_are_those_of_the_tensors() -> None:
    """200 tokens at K4/V3 and head size 32: codes, norms, positions, and nothing kept beside them."""
    model = tiny(head_dim=32).to(torch.bfloat16)
    cache = CompressedCache(model, Policy(bits_k=4, bits_v=3, window=0, slack=1, sinks=0))
    logits(model, tokens(1, 200), cache)
    per_head = 16 + 2 + 12 + 2
    assert cache.nbytes == 2 * (
        200 * 2 * per_head + 200 * 2 + 8
    )  # two layers: codes; shared positions; prompt's length
    assert cache.report().full_nbytes == 2 * 2 * 200 * 32 * 2 * 2
    assert cache.layers[0].keys is None  # the place where transformers' own layers keep theirs


def test_evicting_makes_the_allocation_smaller() -> None:
    """Pruned to 20 of 200 tokens, what is allocated falls to a tenth, positions of each head included."""
    model = tiny(head_dim=32).to(torch.bfloat16)
    policy = Policy(**{**EXACT, "sinks": 0, "prefix": 0}, window=0, slack=1, budget=20)
    cache = CompressedCache(model, policy)
    logits(model, tokens(1, 200), cache)
    assert cache.nbytes == 2 * (20 * 2 * (32 * 2 * 2 + 2) + 8)


def test_a_token_is_quantised_once() -> None:
    """What is packed stays as it was packed: later flushes move codes, they never round again."""
    model = tiny()
    cache = CompressedCache(model, Policy(bits_k=2, bits_v=2, window=0, slack=1, sinks=0))
    ids = tokens(1, 60)
    logits(model, ids[:, :20], cache)
    before = cache.layers[1].store.held["k_codes"].clone()
    for step in range(20, 60):
        logits(model, ids[:, step : step + 1], cache)
    assert torch.equal(cache.layers[1].store.held["k_codes"][:, :, :20], before)


def test_a_budget_for_all_is_bit_identical_and_a_small_one_is_not() -> None:
    """The budget has an effect: none at T and more, and the less the budget the further the logits."""
    model = tiny()
    ids, after = tokens(4, 96), tokens(4, 4, 5)
    distances = []
    for budget in (200, 96, 48, 24, 8):
        cache = CompressedCache(model, Policy(**EXACT, window=4, slack=1, budget=budget))
        logits(model, ids, cache)
        distances.append(logits(model, after, cache))
    assert torch.equal(distances[0], distances[1])
    errors = [float((d - distances[0]).norm()) for d in distances[2:]]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_a_run_that_compressed_nothing_raises() -> None:
    """A window longer than the text leaves nothing to compress; its figures must not be taken for compressed ones."""
    model = tiny()
    for policy in (Policy(window=128), Policy(**EXACT, window=4, slack=1, budget=500)):
        cache = CompressedCache(model, policy)
        logits(model, tokens(1, 100), cache)
        with pytest.raises(NothingCompressed) as caught:
            cache.report()
        assert caught.value.report.seen == 2 * 2 * 100


def test_beam_search_works() -> None:
    """Beams are reordered with all that belongs to them: eight bits find the same text as transformers' own cache."""
    model = tiny(head_dim=32)
    ids = tokens(1, 20)
    cache = CompressedCache(model, Policy(bits_k=8, bits_v=8, window=3, slack=2, sinks=1, prefix=1))
    said = model.generate(ids, past_key_values=cache, max_new_tokens=12, num_beams=3, do_sample=False)
    model.set_attn_implementation("sdpa")
    expected = model.generate(ids, max_new_tokens=12, num_beams=3, do_sample=False)
    assert said.tolist() == expected.tolist()
    assert cache.report().quantised > 0


def test_crop_works_in_the_window_and_is_refused_beyond() -> None:
    """Tokens in the window can be taken back as if never seen; compressed ones cannot."""
    model = tiny()
    ids, wrong = tokens(1, 30), tokens(1, 3, 8)
    policy = Policy(window=8, slack=8, sinks=0)
    straight, cropped = CompressedCache(model, policy), CompressedCache(model, policy)
    for cache in (straight, cropped):
        logits(model, ids[:, :20], cache)
    logits(model, wrong, cropped)
    cropped.crop(-3)
    assert cropped.get_seq_length() == 20
    assert torch.equal(logits(model, ids[:, 20:23], straight), logits(model, ids[:, 20:23], cropped))
    cropped.crop(20)  # as early transformers 5 ask: down to a length
    assert cropped.get_seq_length() == 20
    with pytest.raises(Unsupported):
        cropped.crop(-20)


def test_a_reset_cache_is_a_new_one() -> None:
    """After reset() the next text is seen as the first was."""
    model = tiny()
    cache = CompressedCache(model, Policy(window=2, slack=1))
    first = logits(model, tokens(1, 20), cache)
    cache.reset()
    assert torch.equal(logits(model, tokens(1, 20), cache), first)
    assert cache.report().seen == 2 * 2 * 20


def test_a_kv_head_serves_its_own_group() -> None:
    """KV head h serves query heads hG to hG + G - 1: with heads permuted the logits are others."""
    model = tiny(heads=4, kv_heads=2)
    ids = tokens(1, 40)
    policy = Policy(bits_k=8, bits_v=8, window=0, slack=1, sinks=0)
    cache = CompressedCache(model, policy)
    logits(model, ids[:, :39], cache)
    right = logits(model, ids[:, 39:], cache)
    full = logits(model, ids, None)[:, 39:]
    assert float((right - full).abs().max()) < 0.05
    permuted = CompressedCache(model, policy)
    logits(model, ids[:, :39], permuted)
    for layer in permuted.layers:
        layer.store.held = {
            name: tensor.flip(1) if tensor.shape[1] == 2 else tensor for name, tensor in layer.store.held.items()
        }
    assert float((logits(model, ids[:, 39:], permuted) - full).abs().max()) > 0.2


@pytest.mark.parametrize("head_dim", [40, 80, 96, 256])
def test_head_sizes(head_dim: int) -> None:
    """40, 80 and 96, which are no powers of two, and 256."""
    model = tiny(head_dim=head_dim, heads=2, kv_heads=1)
    ids = tokens(1, 40)
    cache = CompressedCache(model, Policy(bits_k=8, bits_v=8, window=0, slack=1, sinks=0))
    logits(model, ids[:, :39], cache)
    full = logits(model, ids, None)[:, 39:]
    assert float((logits(model, ids[:, 39:], cache) - full).abs().max()) < 0.1


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_keys_that_are_no_numbers_are_refused_by_layer_and_head(poison: float) -> None:
    """The message names where; nothing of them is stored."""
    model = tiny()
    with torch.no_grad():
        model.model.layers[1].self_attn.k_proj.weight[20, 0] = poison  # head size 16: KV head 1
    cache = CompressedCache(model, Policy(window=0, slack=1))
    with pytest.raises(BadTensor, match=r"layer 1, head 1: keys") as caught:
        logits(model, tokens(1, 10), cache)
    assert (caught.value.layer, caught.value.head) == (1, 1)


def test_other_models_are_refused() -> None:
    """An unknown type, sliding windows, partial and changing rotations, another attention: each with a reason."""
    policy = Policy()
    mistral = MistralForCausalLM(
        MistralConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )
    with pytest.raises(Unsupported, match="mistral"):
        CompressedCache(mistral, policy)
    sliding = tiny("qwen2")
    sliding.config.layer_types = ["sliding_attention", "full_attention"]
    with pytest.raises(Unsupported, match="sliding"):
        CompressedCache(sliding, policy)
    partial = tiny()
    partial.config.rope_parameters["partial_rotary_factor"] = 0.5
    with pytest.raises(Unsupported, match="part of each head"):
        CompressedCache(partial, policy)
    changing = tiny(rope_type="dynamic", factor=2.0)
    with pytest.raises(Unsupported, match="dynamic"):
        CompressedCache(changing, policy)
    other = tiny()
    other.set_attn_implementation("sdpa")
    with pytest.raises(Unsupported, match="swarm_kv"):
        CompressedCache(other, policy)


def test_attention_swapped_under_the_cache_is_noticed() -> None:
    """With another attention function new tokens would see nothing before them: refused at the next token."""
    model = tiny()
    cache = CompressedCache(model, Policy())
    logits(model, tokens(1, 10), cache)
    model.set_attn_implementation("sdpa")
    with pytest.raises(Unsupported, match="swarm_kv"):
        for _ in range(2):
            logits(model, tokens(1, 1), cache)


def test_mixed_types_are_refused() -> None:
    """A cache that began in float32 takes no bfloat16."""
    model = tiny()
    cache = CompressedCache(model, Policy())
    logits(model, tokens(1, 10), cache)
    with pytest.raises(BadTensor, match="bfloat16"):
        logits(model.to(torch.bfloat16), tokens(1, 1), cache)


def test_a_prepared_mask_is_refused() -> None:
    """A mask of four dimensions cannot be read as padding."""
    model = tiny()
    cache = CompressedCache(model, Policy())
    with pytest.raises(Unsupported, match="four dimensions"):
        logits(model, tokens(1, 4), cache, torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize(
    "fields",
    [
        {"evict": "streaming", "budget": 100, "window": 128, "prune_prompt": True},
        {"evict": "knorm"},
        {"budget": 100},
        {"bits_k": None},
        {"bits_k": None, "bits_v": None},
        {"bits_k": 9},
        {"bits_k": "4"},
        {"window": -1},
        {"evict": "oracle", "budget": 100},
        {"quantizer": "kivi"},
        {"colour": "blue"},
    ],
)
def test_policies_that_contradict_themselves_are_refused(fields: dict[str, Any]) -> None:
    """A budget below the window, half a method, half the bits, nothing to do, unknown fields."""
    with pytest.raises(BadPolicy):
        Policy(**fields)


def test_triattention_without_its_calibration_is_refused() -> None:
    """So is a calibration of another model."""
    model = tiny()
    policy = Policy(evict="triattention", budget=200)
    with pytest.raises(BadPolicy, match="calibrat"):
        CompressedCache(model, policy)
    with pytest.raises(BadPolicy, match="calibrate this model"):
        CompressedCache(model, policy, calibrate(tiny(layers=3), [tokens(1, 8)]))
