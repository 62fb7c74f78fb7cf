"""A cache computes the same with Triton's kernels as in plain PyTorch."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch

from swarm_kernels.backend import backend_of, for_device
from swarm_kernels.cache import CompressedCache, Report
from swarm_kernels.calibration import calibrate
from swarm_kernels.errors import BadPolicy, BadTensor, Unsupported
from swarm_kernels.policy import Policy
from tests.kernels.models import tiny, tokens

pytest.importorskip("triton")


def run(model: Any, policy: Policy, calibration: Any) -> tuple[torch.Tensor, Report]:
    """Logits of 30 tokens after a prompt of 70, left-padded in one row, and what the cache did."""
    device = model.device
    ids = tokens(2, 100).to(device)
    padding = torch.ones_like(ids)
    padding[1, :11] = 0
    cache = CompressedCache(model, policy, calibration)
    found = []
    with torch.no_grad():
        for start, stop in ((0, 70), *((at, at + 1) for at in range(70, 98)), (98, 100)):
            at = (padding.cumsum(-1) - 1).clamp_min(0)[:, start:stop]
            out = model(ids[:, start:stop], attention_mask=padding[:, :stop], position_ids=at, past_key_values=cache)
            found.append(out.logits)
    return torch.cat(found, 1)[padding.bool()].float().cpu(), cache.report()


@pytest.mark.parametrize(
    ("kind", "dtype", "fields"),
    [
        ("llama", torch.float32, {"bits_k": 4, "bits_v": 3}),
        ("qwen2", torch.bfloat16, {"bits_k": 3, "bits_v": 2}),
        ("llama", torch.float32, {"evict": "triattention", "budget": 48, "prune_prompt": True}),
        (
            "llama",
            torch.float32,
            {"bits_k": None, "bits_v": None, "evict": "knorm", "budget": 48, "prune_prompt": True},
        ),
    ],
)
def test_same_logits_and_counts(kind: str, dtype: torch.dtype, fields: dict[str, Any], device: str) -> None:
    """Quantised, centred for a bias of the keys, pruned: logits within rounding, counts and bytes exactly."""
    model = tiny(kind).to(device=device, dtype=dtype)
    calibration = calibrate(model, [tokens(1, 64)]) if fields.get("evict") == "triattention" else None
    shared = {"window": 16, "slack": 8, "sinks": 2, **fields}
    logits, report = run(model, Policy(**shared), calibration)
    found, counts = run(model, Policy(**shared, backend="triton"), calibration)
    assert counts == report
    divergence = torch.nn.functional.kl_div(
        found.log_softmax(-1), logits.log_softmax(-1), log_target=True, reduction="none"
    )
    assert float(divergence.sum(-1).max()) < 2e-3


@pytest.mark.parametrize("fields", [{"bits_k": 5}, {"bits_v": 8}, {"quantizer": "kivi", "sinks": 0}])
def test_what_has_no_kernel_is_refused(fields: dict[str, Any]) -> None:
    """Widths without a kernel, and kivi, are refused when the policy is made; by default PyTorch computes them."""
    with pytest.raises(BadPolicy, match='the backend "torch"'):
        Policy(**fields, backend="triton")
    assert not Policy(**fields).has_kernels


def test_the_device_of_the_tensors_chooses() -> None:
    """CUDA takes Triton's kernels; the CPU and any other device take the plain references."""
    kernels, references = backend_of("triton"), backend_of("torch")
    assert for_device(torch.device("cuda", 1)) == kernels
    assert for_device(torch.device("cpu")) == for_device(torch.device("mps")) == references
    assert not set(kernels) & set(references)


def test_tensors_on_a_cpu_never_reach_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a whole run on a CPU calls the references only, though Triton and its interpreter are there."""
    for operation in ("quantize", "score", "decode", "dense"):
        module = importlib.import_module(f"swarm_kernels.ops.{operation}.kernel")
        for name in module.__all__:
            monkeypatch.setattr(module, name, forbidden)
    model = tiny()
    policy = Policy(window=4, slack=4, sinks=0, evict="triattention", budget=40, prune_prompt=True)
    assert policy.backend == "auto"
    found, counts = run(model, policy, calibrate(model, [tokens(1, 64)]))
    wanted, expected = run(model, policy.model_copy(update={"backend": "torch"}), calibrate(model, [tokens(1, 64)]))
    assert torch.equal(found, wanted) and counts == expected


def forbidden(*arguments: Any, **named: Any) -> Any:
    """What must not be called."""
    raise AssertionError("a kernel was called for tensors on a CPU")


@pytest.mark.parametrize("operation", ["quantize", "score", "decode", "attend", "merge"])
def test_tensors_of_two_devices_are_refused(operation: str) -> None:
    """Every operation names both devices and computes nothing."""
    here, elsewhere = torch.zeros(2, 2, 2, 8), torch.zeros(2, 2, 2, 8, device="meta")
    with pytest.raises(BadTensor, match=rf"{operation}: tensors on cpu and meta; move them to one device"):
        getattr(backend_of("auto"), operation)(here, elsewhere)


@pytest.mark.parametrize("name", ["torch", "triton"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_queries_of_another_type_than_the_keys(name: Any, dtype: torch.dtype, device: str) -> None:
    """Queries are float32 rows in a cache, keys are the model's type: every pair gives the float32 answer."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, n, 32, generator=generator).to(device) for n in (3, 50, 50))
    lengths = torch.full((1, 2), 50, dtype=torch.int32, device=device)
    wanted = torch.softmax(0.2 * q @ k.transpose(-1, -2), -1) @ v
    out, _ = backend_of(name).attend(q, k.to(dtype), v.to(dtype), lengths, 0.2, None, 1)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, wanted, atol=2e-2, rtol=2e-2)


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Triton is not installed the refusal says so."""
    import builtins

    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.endswith("decode") and "kernel" in (args[2] or ()):
            raise ModuleNotFoundError("No module named 'triton'", name="triton")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Unsupported, match="not installed"):
        backend_of("triton")
    with pytest.raises(Unsupported, match="not installed"):
        for_device(torch.device("cuda"))
