"""On the trained recall models: what is kept answers the questions, at equal bytes and better than the baselines."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch.nn.functional import cosine_similarity, kl_div, log_softmax

from bench.kv.chain import STEPS, alike, held_out, said
from bench.kv.harness import Answers, ask, calibration_of, exam, model_of
from swarm_kernels.calibration import Calibration
from swarm_kernels.policy import Policy

LENGTH = 512
SEEDS = (0, 1)
ALONE = {"window": 0, "slack": 1, "sinks": 0, "prefix": 0}


@cache
def model(seed: int) -> Any:
    """A committed recall model."""
    return model_of(seed)


@cache
def calibration(seed: int) -> Calibration:
    """Its statistics, from held-out texts."""
    return calibration_of(model(seed), LENGTH)


@cache
def full(seed: int) -> Answers:
    """The answers with the full cache."""
    return ask(model(seed), exam(seed, 4, LENGTH), None)


def answers(seed: int, **policy: Any) -> Answers:
    """The answers under a policy; a run that compressed nothing raises."""
    return ask(model(seed), exam(seed, 4, LENGTH), Policy(**{**ALONE, **policy}), calibration(seed))


def pruned(seed: int, method: str, budget: int, bits: int | None = None) -> Answers:
    """The answers with a pruned context."""
    return answers(seed, bits_k=bits, bits_v=bits, evict=method, budget=budget, prune_prompt=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_full_cache_passes_first(seed: int) -> None:
    """The model recalls 99 % and more of 128 records, else nothing else here would mean anything."""
    assert full(seed).share >= 0.99


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("bits_v", "points"), [(4, 0.005), (3, 0.01)])
def test_four_bits_cost_nothing(seed: int, bits_v: int, points: float) -> None:
    """K4/V4 and K4/V3 answer as the full cache does; next-token distributions move by less than .01 nats at K4/V4."""
    found = answers(seed, bits_k=4, bits_v=bits_v)
    assert full(seed).share - found.share <= points
    assert found.quantised == 4 * LENGTH * 2 * 3
    exact, near = log_softmax(full(seed).logits, -1), log_softmax(found.logits, -1)
    divergence = float(kl_div(near, exact, log_target=True, reduction="none").sum(-1).mean())
    assert divergence < (0.01 if bits_v == 4 else 0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_questions_unseen_at_a_tenth_of_the_tokens(seed: int) -> None:
    """TriAttention answers nearly all, and at least a tenth more than every cheap baseline."""
    ours = pruned(seed, "triattention", LENGTH // 10)
    assert ours.share > 0.97
    assert ours.evicted == 4 * 2 * 3 * (LENGTH - LENGTH // 10)
    for method in ("random", "streaming", "knorm", "snapkv"):
        assert ours.share > pruned(seed, method, LENGTH // 10).share + 0.1


def test_accuracy_changes_with_the_budget() -> None:
    """From a quarter of the tokens to a hundredth answers get fewer: the budget does something."""
    shares = [pruned(0, "triattention", budget).share for budget in (128, 24, 12, 5)]
    assert shares[0] > shares[1] > shares[2] > shares[3]
    assert shares[3] < 0.5


def test_pruned_and_quantised_beats_either_at_the_same_bytes() -> None:
    """At a twentieth of the bytes: pruned to 4 bits keeps three times as many tokens as pruned alone."""
    fewer = 20
    composed = pruned(0, "triattention", int(LENGTH * 128 / fewer / 38), 4)
    alone = pruned(0, "triattention", int(LENGTH * 128 / fewer / 130))
    assert min(composed.ratio, alone.ratio) > fewer * 0.99
    assert composed.share > alone.share


@pytest.mark.parametrize("place", ["start", "middle", "end"])
@pytest.mark.parametrize("seen", [False, True])
def test_needles(place: str, seen: bool) -> None:
    """A record at the start, middle or end, at a tenth of the tokens in 4 bits, question unseen and seen."""
    questions = exam(0, 16, LENGTH, place)
    assert not bool((questions.tail[:, :2] == questions.tail[:, 2:]).any())  # the question does not say the answer
    base = ask(model(0), questions, None).share
    policy = Policy(**{**ALONE, "bits_k": 4, "bits_v": 4, "evict": "triattention", "budget": 51, "prune_prompt": True})
    assert base >= 0.9
    assert ask(model(0), questions, policy, calibration(0), seen).share >= base - 0.07


def test_kivi_answers_too() -> None:
    """The baseline quantises: two bits, groups of 32, keys by channel."""
    found = answers(0, quantizer="kivi", bits_k=2, bits_v=2, slack=32)
    assert found.share > 0.95
    assert found.ratio > 3.8
    assert torch.isfinite(found.logits).all()


def test_a_high_cosine_says_little_of_how_far_a_text_goes() -> None:
    """Logits at 2 bits have a cosine above .95 with the full cache's; yet the text leaves it long before 4 bits'."""
    walk, questions = held_out(0, 4)[-1], exam(0, 4, LENGTH)
    text = said(model(0), walk, None, None)
    cosine, steps = {}, {}
    for bits in (4, 2):
        policy = Policy(**{**ALONE, "bits_k": bits, "bits_v": bits, "prefix": 4})
        logits = ask(model(0), questions, policy).logits
        cosine[bits] = float(cosine_similarity(logits, full(0).logits, dim=-1).mean())
        steps[bits] = STEPS * alike(said(model(0), walk, None, policy), text)
    assert 0.95 < cosine[2] < cosine[4]
    assert steps[2] < 0.8 * steps[4]
