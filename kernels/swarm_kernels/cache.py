"""A cache for transformers that prunes and quantises what has left a window of recent tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache

from .attention import NAME
from .backend import Backend, backend_of
from .calibration import Calibration
from .errors import BadPolicy, NothingCompressed, Unsupported
from .layer import CompressedLayer
from .planes import packed_bytes
from .policy import Policy
from .rope import Rope
from .scorers import scorer_of
from .stores import KiviStore, PackedStore, PlainStore, Store
from .turboquant import Quantizer

__all__ = ["MODEL_TYPES", "CompressedCache", "Report"]

MODEL_TYPES = ("llama", "qwen2", "qwen3")


@dataclass(frozen=True)
class Report:
    """What a cache has done. Tokens count once for each layer and KV head."""

    seen: int
    evicted: int
    quantised: int
    flushes: int
    nbytes: int
    """Allocated: codes, norms, means, positions, sinks, and the whole window, its free places too."""
    full_nbytes: int
    """What keys and values of all tokens seen take in bfloat16."""

    @property
    def ratio(self) -> float:
        """How many times fewer bytes than the full cache."""
        return self.full_nbytes / self.nbytes


class CompressedCache(Cache):
    """The cache of one run of a Llama, Qwen2 or Qwen3 model in transformers.

        model.set_attn_implementation("swarm_kv")
        cache = CompressedCache(model, Policy(bits_k=4, bits_v=4))
        model.generate(**inputs, past_key_values=cache)
        cache.report()

    The prompt is attended to exactly; what leaves the window is scored, pruned and quantised once. Positions follow
    the logical length, whatever was evicted. Raises Unsupported for another model, BadPolicy where the policy does not
    fit this one.
    """

    def __init__(self, model: Any, policy: Policy, calibration: Calibration | None = None) -> None:
        config = model.config
        if config.model_type not in MODEL_TYPES:
            raise Unsupported(
                f"models of type {config.model_type!r} are not supported; these are: {', '.join(MODEL_TYPES)}"
            )
        if any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()):
            raise Unsupported("layers with sliding windows are not supported; all must be of full attention")
        if config._attn_implementation != NAME:
            raise Unsupported(f"this cache needs its own attention: call model.set_attn_implementation({NAME!r}) first")
        rope = Rope.of(model)
        layers = config.num_hidden_layers
        d = 2 * rope.speeds.numel()
        if policy.quantises:
            packed_bytes(d, 8)
        if calibration is not None:
            expected = (layers, config.num_attention_heads, d // 2)
            if tuple(calibration.mean.shape) != expected:
                raise BadPolicy(
                    f"the calibration is of layers, heads and bands {tuple(calibration.mean.shape)}, the model has "
                    f"{expected}; calibrate this model"
                )
        self.policy, self.calibration = policy, calibration
        self._head_bytes = 2 * d * 2  # a key and a value in bfloat16
        biased = model.get_decoder().layers[0].self_attn.k_proj.bias is not None
        centred = rope if policy.key_mean or (policy.key_mean is None and biased) else None
        backend = backend_of(policy.backend if policy.has_kernels else "torch")
        scorer = scorer_of(policy, calibration, backend)
        wide = config.max_position_embeddings > 2**15
        self.compressed = [
            CompressedLayer(index, layers, policy, lambda: _store(policy, d, centred, backend), scorer, wide, backend)
            for index in range(layers)
        ]
        super().__init__(layers=list(self.compressed))

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """As transformers calls it. Raises Unsupported where the layers have not seen the same tokens."""
        first, layer = self.compressed[0], self.compressed[layer_idx]
        if layer_idx and layer.seen + key_states.shape[-2] != first.seen:
            raise Unsupported(
                f"layers 0 and {layer_idx} have not seen the same tokens: a step failed halfway, or another attention "
                f"than {NAME!r} was set for the model; reset() the cache, or make a new one"
            )
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)

    @property
    def nbytes(self) -> int:
        """The bytes that are allocated now."""
        return sum(layer.nbytes for layer in self.compressed)

    def report(self) -> Report:
        """What was done so far.

        Raises NothingCompressed where the policy asks for quantising or evicting and none was done: figures of such a
        run would be those of another policy. The error's `report` has the counts.
        """
        counts = [layer.counts for layer in self.compressed]
        evicted, quantised = sum(c.evicted for c in counts), sum(c.quantised for c in counts)
        seen, flushes = sum(c.seen for c in counts), sum(c.flushes for c in counts)
        report = Report(seen, evicted, quantised, flushes, self.nbytes, seen * self._head_bytes)
        policy = self.policy
        if (policy.quantises and not quantised) or (policy.evict and not evicted):
            raise NothingCompressed(
                f"{self.get_seq_length()} tokens were seen, {quantised} quantised and {evicted} evicted: the policy "
                f"asks for more; its window of {policy.window}, slack of {policy.slack} or budget may be too large",
                report,
            )
        return report


def _store(policy: Policy, d: int, rope: Rope | None, backend: Backend) -> Store:
    if policy.bits_k is None or policy.bits_v is None:
        return PlainStore(backend)
    if policy.quantizer == "kivi":
        return KiviStore(d, policy.bits_k, policy.bits_v, backend)
    # The rotations of keys and values differ, so that their errors do not line up.
    return PackedStore(
        Quantizer(d, policy.bits_k, policy.seed, unbiased=True),
        Quantizer(d, policy.bits_v, policy.seed + 1, unbiased=True),
        backend,
        rope,
    )
