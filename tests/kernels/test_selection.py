"""Selection keeps the best, what is protected, and a quota of each part of the text."""

from __future__ import annotations

import pytest
import torch

from swarm_kernels.selection import select


def chosen(scores: list[float], keep: int, protected: int = 0, segments: int = 1, quota: float = 0.0) -> list[int]:
    """Of one head whose tokens stand at 0, 1, 2, …; the first `protected` are protected."""
    n = len(scores)
    positions = torch.arange(n)[None, None]
    index = select(torch.tensor([[scores]]), positions, positions < protected, keep, torch.tensor([n]), segments, quota)
    return index[0, 0].tolist()


def test_the_best_are_kept_in_the_order_of_the_text() -> None:
    """The three highest of six, ascending by index."""
    assert chosen([5, 1, 9, 2, 7, 0], 3) == [0, 2, 4]


def test_protected_tokens_are_kept_whatever_their_score() -> None:
    """The first two have the worst scores and stay; one place is left for the best of the rest."""
    assert chosen([-9, -9, 1, 2, 7, 0], 3, protected=2) == [0, 1, 4]


def test_each_segment_keeps_its_quota() -> None:
    """All high scores are at the end; with a quota of one each of four segments keeps its best."""
    scores = [0.1, 0.2, 0.4, 0.3, 0.5, 0.6, 7, 8]
    assert chosen(scores, 4, segments=4, quota=1.0) == [1, 2, 5, 7]
    assert chosen(scores, 4, segments=4, quota=0.0) == [4, 5, 6, 7]


def test_half_a_quota_leaves_the_rest_to_the_best() -> None:
    """Two segments and four places: one place for the best of each, the others for the best of all."""
    assert chosen([1, 0, 0, 0, 5, 6, 7, 8], 4, segments=2, quota=0.5) == [0, 5, 6, 7]


def test_heads_choose_for_themselves() -> None:
    """Each head keeps its own best; slots without a token come last."""
    scores = torch.tensor([[[1.0, 2, 3, 4], [4.0, 3, 2, 1]]])
    positions = torch.tensor([[[0, 1, 2, 3], [0, 1, 2, -1]]])
    index = select(scores, positions, positions < 0, 2, torch.tensor([4]), 1, 0.0)
    assert index.tolist() == [[[2, 3], [0, 1]]]


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_a_plain_loop(seed: int) -> None:
    """Random scores, holes, prefixes and quotas: as a loop over heads and segments chooses."""
    generator = torch.Generator().manual_seed(seed)
    n, heads, segments = 60, 3, 1 + seed % 5
    positions = torch.arange(n).repeat(1, heads, 1)
    positions[:, 1, 50:] = -1
    scores = torch.randn(1, heads, n, generator=generator)
    keep, prefix, quota = 20, seed % 4, [0.0, 0.5, 1.0][seed % 3]
    protected = (positions >= 0) & (positions < prefix)
    index = select(scores, positions, protected, keep, torch.tensor([n]), segments, quota)
    for head in range(heads):
        at, value = positions[0, head].tolist(), scores[0, head].tolist()
        kept = [i for i in range(n) if 0 <= at[i] < prefix]
        each = int(quota * (keep - prefix) / segments)
        rest = sorted((i for i in range(n) if at[i] >= prefix), key=lambda i: -value[i])
        for segment in range(segments):
            kept += [i for i in rest if at[i] * segments // n == segment][:each]
        kept += [i for i in rest if i not in kept][: keep - len(kept)]
        assert index[0, head].tolist() == sorted(kept)
