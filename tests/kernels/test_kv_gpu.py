"""The bench of the kernels: what it refuses, what it counts and how it judges, with a clock that a test sets."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")
from bench import kv_gpu
from bench.kv_gpu import GpuClock, Shape, decode_row, main, score_row
from swarm_kernels.backend import backend_of

SHAPE = Shape(batch=4, n=96, heads=2, group=2, d=64, window=32)
SMALL = Shape(batch=2, n=48, heads=1, group=2, d=64, window=16)
Q, KV = 4 * 4 * 64 * 2, 4 * 2 * 96 * 64 * 2 * 2  # bytes of queries, and of keys and values


@pytest.fixture(autouse=True)
def few_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes its time for every program."""
    monkeypatch.setattr(kv_gpu, "SPLITS", (2,))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The references in the kernels' place, where only verdicts are looked at."""
    monkeypatch.setattr("swarm_kernels.backend.backend_of", lambda name, real=backend_of: real("torch"))


class SetClock:
    """Says the times that it was given, one a call, then the last one for ever; runs what it times once."""

    def __init__(self, device: str, ceiling: float, *times: float) -> None:
        self.device, self.times, self._ceiling = device, list(times), ceiling

    def seconds(self, run: Callable[[], object]) -> float:
        """The next time."""
        run()
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]

    def ceiling(self) -> float:
        """As set."""
        return self._ceiling

    def beside(self, run: Callable[[], object]) -> int:
        """Nothing."""
        return 0


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A right baseline."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)


def wrong(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One that attends to the wrong keys."""
    return sdpa(q, k.flip(2), v)


def test_without_a_gpu_it_refuses(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line on stderr, exit code 2, nothing measured."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main() == 2
    said = capsys.readouterr()
    assert said.out == "" and "needs a CUDA GPU" in said.err and "nothing was measured" in said.err


def test_bytes_ratios_and_shares(device: str) -> None:
    """Bytes are those of the tensors; a ratio is to the fastest baseline; a short context has no target."""
    clock = SetClock(device, (KV + 2 * Q) / 10, 12.0, 10.0, 4.0, 4.5, 5.0)
    outcome = decode_row(clock, [SHAPE], {"slow": sdpa, "fast": sdpa})
    baseline, k4v4, *_ = outcome.figures
    assert baseline.measured == "fast: 100% of copy" and baseline.passed is True
    far, near = 4 * 2 * 64 * 2 * (32 + 2), 4 * 2 * 32 * 64 * 2 * 2
    detail = outcome.detail["0k x 4 K4/V4"]
    assert isinstance(detail, dict) and detail["bytes"] == far + near + 2 * Q and detail["seconds"] == [4.0, 4.5]
    assert k4v4.measured.startswith("2.50x, ") and k4v4.passed is None


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("ratio", "share", "verdicts"),
    [(2.5, 0.9, (True, None, True)), (2.15, 0.95, (True, None, False)), (2.05, 0.85, (False, None, False))],
)
def test_targets(ratio: float, share: float, verdicts: tuple[bool | None, ...], device: str) -> None:
    """4 bits: twice as fast and half of the ceiling (48 % in the last case); 3 bits: 2.2 times; 4 and 3: none."""
    shape = SHAPE._replace(n=256, heads=1, window=4)
    full = 4 * 1 * 256 * 64 * 2 * 2 + 2 * 4 * 2 * 64 * 2
    baseline = full / share  # at a ceiling of one byte a second
    outcome = decode_row(SetClock(device, 1.0, baseline, baseline / ratio), [shape], {"a": sdpa}, 256)
    assert len(outcome.figures) == 4 and outcome.figures[0].passed is True
    assert outcome.detail["0k x 4 K4/V4 by splits"] == {2: baseline / ratio}
    assert tuple(figure.passed for figure in outcome.figures[1:]) == verdicts


@pytest.mark.usefixtures("plain")
def test_a_slow_baseline_is_no_baseline(device: str) -> None:
    """Under 80 % of the ceiling the baseline is a miss, and so is what is compared with it."""
    outcome = decode_row(SetClock(device, KV / 5, 10.0, 1.0), [SHAPE], {"only": sdpa}, 64)
    assert outcome.figures[0].passed is False and "only: 5" in outcome.figures[0].measured
    assert [figure.passed for figure in outcome.figures[1:]] == [False, None, False]  # though ten times as fast


def test_what_is_wrong_is_not_timed(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline with wrong answers, or one that fails, is named with its reason, and the rest is no honest field."""
    monkeypatch.setattr("bench.kv_gpu.TARGETS", {})

    def fails(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise ValueError("no such kernel")

    outcome = decode_row(SetClock(device, KV / 10, 10.0), [SHAPE], {"wrong": wrong, "fails": fails, "right": sdpa})
    said = outcome.detail["0k x 4 baselines"]
    assert isinstance(said, dict)
    assert "off the reference" in said["wrong"] and said["fails"] == "ValueError: no such kernel"
    assert outcome.figures[0].passed is False
    outcome = decode_row(SetClock(device, KV / 10, 10.0), [SHAPE], {"wrong": wrong})
    assert outcome.figures[0].measured == "no baseline ran" and outcome.figures[0].passed is False


def test_score_is_a_share_of_the_ceiling(device: str) -> None:
    """Keys, centres, spreads and scores count as bytes; 80 % is the target."""
    keys, centre, spread, scores = KV // 2, 2 * 2 * 64 * 4, 2 * 2 * 32 * 4, 4 * 2 * 2 * 96 * 4
    moved = keys + centre + spread + scores
    for time, passed in ((1.2, True), (1.3, False)):
        outcome = score_row(SetClock(device, moved, time), [SHAPE])
        assert outcome.figures[0].passed is passed
    assert outcome.figures[0].measured.startswith("77% of copy")


class Anything:
    """A stream, an event, a graph, a context: takes every call, and a graph runs nothing when it is replayed."""

    def __init__(self, *arguments: object, **named: object) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def wait_stream(self, other: object) -> None: ...

    def record(self) -> None: ...

    def replay(self) -> None: ...

    def elapsed_time(self, end: object) -> float:
        """Milliseconds."""
        return 0.25


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: run the bench itself")
def test_every_line_of_the_bench_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line to the JSON, all that is CUDA's replaced, kernels interpreted, on a machine without git."""
    for name in ("Stream", "CUDAGraph", "graph", "stream", "Event"):
        monkeypatch.setattr(torch.cuda, name, Anything)
    monkeypatch.setattr(torch.cuda, "current_stream", Anything)
    properties = SimpleNamespace(name="a GPU", L2_cache_size=1 << 10, multi_processor_count=4)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    for name, value in {"is_available": True, "memory_allocated": 10, "max_memory_allocated": 30}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    for name in ("synchronize", "reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    monkeypatch.setattr(GpuClock, "device", "cpu")
    monkeypatch.setattr(kv_gpu, "COPIED", (1 << 16, 1 << 12))
    broken = Shape(batch=1, n=64, heads=1, group=2, d=36, window=8)  # no multiple of 8: fails when it is packed
    monkeypatch.setattr(kv_gpu, "SHAPES", [SMALL, broken])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    kv_gpu._clock.cache_clear()
    kv_gpu._contenders.cache_clear()
    monkeypatch.setattr(sys, "argv", ["kv_gpu", "--json", str(tmp_path / "out" / "kv-gpu.json")])
    assert main() == 1
    kv_gpu._clock.cache_clear()
    kv_gpu._contenders.cache_clear()
    report = json.loads((tmp_path / "out" / "kv-gpu.json").read_text())
    assert report["commit"] == "unknown" and list(report["rows"]) == [
        "ceiling", f"decode {SMALL}", f"score {SMALL}", f"decode {broken}",
    ]  # fmt: skip
    baselines = report["rows"][f"decode {SMALL}"]["detail"][f"{SMALL} baselines"]
    assert set(baselines) == {
        "SDPA enable_gqa", "FlexAttention", "our bf16 split-K", "our bf16 split-K in 2",
    } and set(baselines.values()) == {0.25e-3}  # fmt: skip
    packed = report["rows"][f"decode {SMALL}"]["detail"][f"{SMALL} K4/V4"]
    assert packed["beside_bytes"] == 20 and packed["seconds"] == [0.25e-3] * 2
    (failed,) = report["rows"][f"decode {broken}"]["figures"]
    assert failed["pass"] is False and failed["measured"].startswith("Unsupported: a head size of 36")
    assert "a GPU" in capsys.readouterr().out
