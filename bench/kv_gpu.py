"""`python -m bench.kv_gpu`: the kernels of `swarm_kernels` on a CUDA GPU, against what a GPU can do and what others do.

The copy ceiling is measured first, and every figure is a share of it or a ratio to the fastest baseline of the same
run. Bytes are those of the tensors that a step reads and writes. Each timed run follows a flush of the L2 cache and is
a replay of a captured graph, so neither Python nor a warm cache flatters anybody. Data are normal random numbers.
"""

from __future__ import annotations

import statistics
import sys
import traceback
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from swarm_kernels.turboquant import Quantizer

from .row import Context, Outcome, Row
from .table import main as measure

__all__ = ["Clock", "GpuClock", "Shape", "decode_row", "main", "rows", "score_row"]

LEAST_BASELINE = 0.8
"""A baseline counts as honest where it moves its bytes at this share of the copy ceiling."""
MOST_ERROR = 1e-2
"""‖out - reference‖ / ‖reference‖ beyond which nothing is timed."""


TARGETS: dict[tuple[int, int], tuple[float, float] | None] = {(4, 4): (2.0, 0.5), (4, 3): None, (3, 3): (2.2, 0.0)}
"""Bits of keys and values → times faster than the fastest baseline, share of the copy ceiling by its own bytes."""


SPLITS = (8, 16, 32, 64, 128)
"""Runs of keys tried beside what `splits_for` says: the best makes the baseline, ours are judged by what it says."""


class Shape(NamedTuple):
    """A step of decoding: heads and head size are those of Llama-3.1-8B unless a test makes them smaller."""

    batch: int
    n: int
    heads: int = 8
    group: int = 4
    d: int = 128
    window: int = 192

    def __str__(self) -> str:
        return f"{self.n // 1024}k x {self.batch}"


class Clock(Protocol):
    """What times a run on a device."""

    device: str

    def seconds(self, run: Callable[[], object]) -> float:
        """The median time of `run`, its inputs not in a cache."""

    def ceiling(self) -> float:
        """Bytes a second, read and written, of a large copy."""

    def beside(self, run: Callable[[], object]) -> int:
        """The most bytes that `run` had allocated beside what was there before."""


class GpuClock:
    """Events on a CUDA GPU around graph replays, each after the L2 cache was read full of something else."""

    device = "cuda"

    def __init__(self, repeats: int, copied: int) -> None:
        self.repeats = repeats
        size = max(copied // 16, 8 * torch.cuda.get_device_properties(0).L2_cache_size)
        self.flush = torch.ones(size // 4, dtype=torch.int32, device=self.device)
        source = torch.randint(0, 256, (copied,), dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        self._ceiling = 2 * copied / self.seconds(lambda: target.copy_(source))

    def seconds(self, run: Callable[[], object]) -> float:
        """Three runs to warm up and compile, one captured, then the median of the replays."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(self.repeats)]
        for begin, end in events:
            self.flush.sum()  # reads: written lines would have to be written back in the time measured
            begin.record()
            graph.replay()
            end.record()
        torch.cuda.synchronize()
        return float(statistics.median(begin.elapsed_time(end) for begin, end in events)) / 1e3

    def ceiling(self) -> float:
        """Measured when the clock was made: the median of copies from one large buffer to another."""
        return self._ceiling

    def beside(self, run: Callable[[], object]) -> int:
        """As the caching allocator counts."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before


def decode_row(
    clock: Clock, shapes: list[Shape], baselines: dict[str, Callable[..., Tensor]], judged_from: int = 2**17
) -> Outcome:
    """A whole step of attention over packed keys and a window, against the fastest baseline over the same tokens.

    Targets hold from `judged_from` tokens at a batch of 4 and more. Where a baseline failed, or the fastest moves its
    bytes at less than LEAST_BASELINE of the ceiling, they are missed whatever the ratio.
    """
    outcome, ceiling = Outcome(), clock.ceiling()
    outcome.detail["ceiling_bytes_per_s"] = ceiling
    for shape in shapes:
        q, k, v = _tokens(shape, clock.device)
        full = _nbytes(q, k, v, q)
        times, failed = _time_baselines(clock, baselines, q, k, v, _exact(q, k, v, shape))
        outcome.detail[f"{shape} baselines"] = {**times, **failed}
        if not times:
            outcome.add(f"fastest baseline, {shape}", "", "no baseline ran", False)
            continue
        best = min(times, key=times.__getitem__)
        share = full / times[best] / ceiling
        honest = share >= LEAST_BASELINE and not failed
        outcome.add(f"fastest baseline, {shape}", f">= {LEAST_BASELINE:.0%}", f"{best}: {share:.0%} of copy", honest)
        for (bits_k, bits_v), target in TARGETS.items():
            name, packed = f"{shape} K{bits_k}/V{bits_v}", _Packed(q, k, v, shape, bits_k, bits_v)
            off = _off(packed.step(), packed.exact())
            if off > MOST_ERROR:
                outcome.add(name, "", f"{off:.3g} off the reference: not timed", False)
                continue
            seconds = [clock.seconds(packed.step) for _ in range(2)]
            ratio, part = times[best] / seconds[0], packed.nbytes / seconds[0] / ceiling
            said = f"{ratio:.2f}x, {part:.0%} of copy, {1e6 * seconds[0]:.0f} us, again {1e6 * seconds[1]:.0f}"
            if target is None or shape.n < judged_from or shape.batch < 4:
                outcome.add(name, "", said)
            else:
                passed = honest and ratio >= target[0] and part >= target[1]
                outcome.add(name, f">= {target[0]}x, {target[1]:.0%}", said, passed)
            outcome.detail[name] = {
                "seconds": seconds,
                "bytes": packed.nbytes,
                "full_bytes": full,
                "beside_bytes": clock.beside(packed.step),
                "error": off,
            }
            if (bits_k, bits_v) == (4, 4) and shape.n >= judged_from:
                outcome.detail[f"{name} by splits"] = {n: clock.seconds(partial(packed.step, n)) for n in SPLITS}
    return outcome


def _time_baselines(
    clock: Clock, baselines: dict[str, Callable[..., Tensor]], q: Tensor, k: Tensor, v: Tensor, wanted: Tensor
) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of each baseline that is right, and why the others are not among them."""
    times, failed = {}, {}
    for name, attend in baselines.items():
        try:
            off = _off(attend(q, k, v), wanted)
            if off > MOST_ERROR:
                failed[name] = f"{off:.3g} off the reference"
            else:
                times[name] = clock.seconds(partial(attend, q, k, v))
        except Exception as error:  # of another project's code: the run goes on, and its figures are misses
            failed[name] = f"{type(error).__name__}: {error}"[:300]
    return times, failed


def score_row(clock: Clock, shapes: list[Shape]) -> Outcome:
    """TriAttention's score as a share of the ceiling, and what a flush of 64 tokens costs a step of decoding."""
    from swarm_kernels.ops.quantize.kernel import quantize
    from swarm_kernels.ops.score import reference
    from swarm_kernels.ops.score.kernel import score

    outcome, ceiling = Outcome(), clock.ceiling()
    for shape in shapes:
        _, keys, _ = _tokens(shape, clock.device)
        generator = torch.Generator(clock.device).manual_seed(1)
        centre = torch.randn(1, shape.heads, shape.group, shape.d, generator=generator, device=clock.device)
        spread = torch.rand(shape.heads, shape.group, shape.d // 2, generator=generator, device=clock.device)
        found, part = score(keys, centre, spread), slice(0, min(shape.n, 8192))
        off = _off(found[..., part], reference.score(keys[:, :, part], centre, spread))
        seconds = clock.seconds(partial(score, keys, centre, spread))
        moved = _nbytes(keys, centre, spread, found)
        passed = moved / seconds / ceiling >= 0.8 and off < MOST_ERROR
        outcome.add(f"score {shape}", ">= 80%", f"{moved / seconds / ceiling:.0%} of copy, {off:.1g} off", passed)
        quantizer, tokens = Quantizer(shape.d, 4), keys[:, :, :64].contiguous()
        rotation, levels = quantizer.rotation(clock.device), quantizer.levels(clock.device)
        flush = clock.seconds(partial(quantize, tokens, rotation, levels, 4, True))
        outcome.add(f"quantise 64 tokens {shape}", "", f"{1e6 * flush:.0f} us")
        outcome.detail[f"{shape}"] = {"score_s": seconds, "bytes": moved, "quantise_64_s": flush}
    return outcome


class _Packed:
    """A step of attention as a cache with the backend "triton" takes it: rotate, packed keys, window, join, rotate."""

    def __init__(self, q: Tensor, k: Tensor, v: Tensor, shape: Shape, bits_k: int, bits_v: int) -> None:
        from swarm_kernels.backend import backend_of

        self.ops = backend_of("triton")
        far, near = slice(0, shape.n - shape.window), slice(shape.n - shape.window, None)
        self.quantizers = Quantizer(shape.d, bits_k, 1, unbiased=True), Quantizer(shape.d, bits_v, 2, unbiased=True)
        self.k, self.v = (
            quantizer.quantize(x[:, :, far], self.ops.quantize)
            for quantizer, x in zip(self.quantizers, (k, v), strict=True)
        )
        self.window = k[:, :, near].contiguous(), v[:, :, near].contiguous()
        self.q = q.unflatten(1, (shape.heads, shape.group)).flatten(3)  # [B, Hkv, G, d]
        self.scale = shape.d**-0.5
        rows = shape.batch * shape.heads
        self.lengths = [
            torch.full((shape.batch, shape.heads), n, dtype=torch.int32, device=q.device)
            for n in (shape.n - shape.window, shape.window)
        ]
        self.splits = [self.ops.splits(rows, n, q.device) for n in (shape.n - shape.window, shape.window)]
        self.rotations = [quantizer.rotation(q.device) for quantizer in self.quantizers]
        self.levels = [quantizer.levels(q.device) for quantizer in self.quantizers]

    @property
    def nbytes(self) -> int:
        """What a step must read and write: codes, norms, window, queries and outputs."""
        return self.k.nbytes + self.v.nbytes + _nbytes(*self.window, self.q, self.q)

    def step(self, splits: int | None = None) -> Tensor:
        """float32 [B, Hkv, G, d]; the packed keys in so many runs, None for as many as a cache would take."""
        far, near = self.splits
        return self._step(self.ops.decode, self.ops.attend, [splits or far, near])

    def exact(self) -> Tensor:
        """The same from the references."""
        from swarm_kernels.ops import decode, dense

        runs = [-(-int(length.max()) // 4096) for length in self.lengths]
        return self._step(decode.decode, dense.attend, runs)

    def _step(self, decode: Callable[..., Any], attend: Callable[..., Any], splits: list[int]) -> Tensor:
        far, far_lse = decode(
            self.q.float() @ self.rotations[0].T,
            self.k.codes,
            self.k.norms,
            self.levels[0],
            self.v.codes,
            self.v.norms,
            self.levels[1],
            self.lengths[0],
            self.scale,
            None,
            splits[0],
        )
        near, near_lse = attend(self.q, *self.window, self.lengths[1], self.scale, None, splits[1])
        out, _ = self.ops.merge(torch.stack([far @ self.rotations[1], near]), torch.stack([far_lse, near_lse]))
        return out


def _baselines(flex: Callable[..., Any]) -> dict[str, Callable[..., Tensor]]:
    """Attention of [B, Hq, 1, d] over [B, Hkv, N, d] in bfloat16."""
    from swarm_kernels.ops.dense.kernel import attend
    from swarm_kernels.ops.launch import splits_for

    def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    def flex_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = flex(q, k, v, enable_gqa=True)
        return out

    lengths: dict[tuple[int, int, int], Tensor] = {}

    def split_k(splits: int | None, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        b, heads, n, d = k.shape
        if (b, heads, n) not in lengths:
            lengths[b, heads, n] = torch.full((b, heads), n, dtype=torch.int32, device=k.device)
        rows = q.unflatten(1, (heads, -1)).flatten(3)
        runs = splits or splits_for(b * heads, n, k.device)
        out, _ = attend(rows, k, v, lengths[b, heads, n], d**-0.5, None, runs)
        return out

    found: dict[str, Callable[..., Tensor]] = {"SDPA enable_gqa": sdpa, "FlexAttention": flex_attention}
    found["our bf16 split-K"] = partial(split_k, None)
    return found | {f"our bf16 split-K in {n}": partial(split_k, n) for n in SPLITS}


def _tokens(shape: Shape, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [B, Hq, 1, d], keys and values [B, Hkv, N, d], bfloat16, of one seed."""
    generator = torch.Generator(device).manual_seed(0)
    sizes = ((shape.heads * shape.group, 1), (shape.heads, shape.n), (shape.heads, shape.n))
    q, k, v = (
        torch.randn(shape.batch, *size, shape.d, generator=generator, device=device, dtype=torch.bfloat16)
        for size in sizes
    )
    return q, k, v


def _exact(q: Tensor, k: Tensor, v: Tensor, shape: Shape) -> Tensor:
    from swarm_kernels.ops.dense.reference import attend

    lengths = torch.full((shape.batch, shape.heads), shape.n, dtype=torch.int32, device=q.device)
    rows = q.unflatten(1, (shape.heads, shape.group)).flatten(3)
    return attend(rows, k, v, lengths, shape.d**-0.5, None, -(-shape.n // 4096))[0]


def _off(found: Tensor, wanted: Tensor) -> float:
    """‖found - wanted‖ / ‖wanted‖, infinite where something is NaN."""
    off = float(torch.linalg.vector_norm(found.reshape(wanted.shape).double() - wanted.double()))
    off /= float(torch.linalg.vector_norm(wanted.double()))
    return off if off == off else float("inf")


def _nbytes(*tensors: Tensor) -> int:
    return sum(tensor.nbytes for tensor in tensors)


COPIED = (1 << 32, 1 << 30)
"""Bytes of the copy that is the ceiling: in full, and quick."""
SHAPES = [Shape(batch, 1024 * thousands) for batch, thousands in ((4, 128), (8, 128), (1, 128), (8, 32), (1, 32))]
"""The most wanted first: a machine that is borrowed for minutes may be taken back before the last."""


@lru_cache(maxsize=1)
def _clock(quick: bool) -> GpuClock:
    return GpuClock(10 if quick else 50, COPIED[quick])


@lru_cache(maxsize=1)
def _contenders() -> dict[str, Callable[..., Tensor]]:
    from torch.nn.attention.flex_attention import flex_attention

    return _baselines(torch.compile(flex_attention, dynamic=False))


def _machine(context: Context) -> Outcome:
    import triton

    clock, outcome = _clock(context.quick), Outcome()
    properties = torch.cuda.get_device_properties(0)
    outcome.add("copy ceiling", "", f"{clock.ceiling() / 1e12:.2f} TB/s, read and written, {properties.name}")
    outcome.detail = {
        "gpu": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "l2": properties.L2_cache_size,
        "torch": torch.__version__,
        "triton": triton.__version__,
    }
    return outcome


def _decode(shape: Shape, context: Context) -> Outcome:
    return decode_row(_clock(context.quick), [shape], _contenders())


def _score(shape: Shape, context: Context) -> Outcome:
    return score_row(_clock(context.quick), [shape])


def _going_on(name: str, row: Row) -> Row:
    """The row, with what goes wrong in it as a figure that is missed: the rows after it are measured all the same."""

    def guarded(context: Context) -> Outcome:
        try:
            return row(context)
        except Exception as error:  # of a compiler or a driver that nobody could try before
            outcome = Outcome()
            outcome.add(name, "", f"{type(error).__name__}: {error}"[:300], False)
            outcome.detail["traceback"] = traceback.format_exc()
            return outcome
        finally:
            torch.cuda.empty_cache()

    return guarded


def rows() -> dict[str, Row]:
    """The ceiling, then each shape by itself."""
    first, *rest = SHAPES
    found: dict[str, Row] = {"ceiling": _machine, f"decode {first}": partial(_decode, first)}
    found[f"score {first}"] = partial(_score, first)
    found |= {f"decode {shape}": partial(_decode, shape) for shape in rest}
    return {name: _going_on(name, row) for name, row in found.items()}


def main() -> int:
    """Measure; 0 where every figure with a target meets it, 1 where one does not, 2 without a GPU."""
    if not torch.cuda.is_available():
        sys.stderr.write("bench.kv_gpu needs a CUDA GPU, and PyTorch finds none here: nothing was measured\n")
        return 2
    return measure("kv-gpu", __doc__, rows())


if __name__ == "__main__":
    sys.exit(main())
