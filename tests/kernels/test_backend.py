"""A cache computes the same with Triton's kernels as in plain PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from swarm_kernels.backend import backend_of
from swarm_kernels.cache import CompressedCache, Report
from swarm_kernels.calibration import calibrate
from swarm_kernels.errors import BadPolicy, Unsupported
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
    """Widths without a kernel, and kivi, are refused when the policy is made."""
    with pytest.raises(BadPolicy, match='the backend "torch"'):
        Policy(**fields, backend="triton")


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
