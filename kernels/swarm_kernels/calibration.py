"""What TriAttention knows of a model beforehand: the mean of each head's queries, and of their lengths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers.cache_utils import Cache

from .attention import NAME, Layer, exact_attention
from .errors import BadPolicy, BadTensor
from .rope import Rope

__all__ = ["Calibration", "calibrate"]


@dataclass(frozen=True)
class Calibration:
    """Statistics of the queries of every layer and head, un-rotated, a band as one complex number."""

    mean: Tensor
    """complex64 [layers, Hq, d/2]: E[q_f]."""
    length: Tensor
    """float32 [layers, Hq, d/2]: E|q_f|, never less than |E[q_f]|."""
    rope: Rope
    tokens: int
    """How many queries a head were seen."""

    @property
    def concentration(self) -> Tensor:
        """|E[q_f]| / E|q_f|, in [0, 1]: how well the mean stands for a head's queries. float32 [layers, Hq, d/2]."""
        return self.mean.abs() / self.length.clamp_min(torch.finfo(torch.float32).tiny)

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        tensors = {
            "mean": torch.view_as_real(self.mean).contiguous(),
            "length": self.length,
            "speeds": self.rope.speeds,
        }
        save_file(tensors, path, {"format": "1", "scaling": repr(self.rope.scaling), "tokens": str(self.tokens)})

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what `save` wrote."""
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            if about.get("format") != "1":
                raise BadPolicy(f"{path} is no calibration that this version can read; calibrate again")
            mean = torch.view_as_complex(file.get_tensor("mean"))
            rope = Rope(file.get_tensor("speeds"), float(about["scaling"]))
            return cls(mean, file.get_tensor("length"), rope, int(about["tokens"]))


class _Recorder(Layer):
    """Takes the queries as attention gets them, q_norm and biases included, and attends as without a cache."""

    def __init__(self, rope: Rope, skip: int) -> None:
        super().__init__()
        self.rope, self.skip = rope, skip
        self.mean: Tensor | None = None
        self.length: Tensor | None = None
        self.tokens = 0

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, positions: Tensor, scaling: float
    ) -> Tensor:
        """Exact attention; the statistics grow by the queries that are no padding."""
        plain = self.rope.turn(query, positions[:, None], back=True).double()
        bands = torch.complex(*plain.chunk(2, -1))  # [B, Hq, T, d/2]
        counts = torch.ones(query.shape[0], query.shape[2], dtype=torch.bool, device=query.device)
        if padding is not None:
            counts = padding[:, -query.shape[2] :].clone()
        counts[:, : self.skip] = False
        chosen = bands.transpose(1, 2)[counts]  # [tokens, Hq, d/2]
        self.mean = chosen.sum(0) if self.mean is None else self.mean + chosen.sum(0)
        self.length = chosen.abs().sum(0) if self.length is None else self.length + chosen.abs().sum(0)
        self.tokens += chosen.shape[0]
        return exact_attention(query, key, value, padding, scaling)


def calibrate(model: Any, batches: Iterable[Tensor | tuple[Tensor, Tensor]], skip: int = 0) -> Calibration:
    """Run the model over token ids [B, T] (or ids and attention mask) and collect the statistics of its queries.

    A few thousand tokens of any text are enough. The first `skip` columns of each batch are read but not counted: for a
    task whose questions come at the end, the queries that matter are those. Raises BadTensor without a single token.
    """
    rope = Rope.of(model)
    layers = [_Recorder(rope, skip) for _ in range(model.config.num_hidden_layers)]
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        with torch.no_grad():
            for batch in batches:
                ids, mask = batch if isinstance(batch, tuple) else (batch, None)
                model(ids, attention_mask=mask, past_key_values=Cache(layers=list(layers)), use_cache=True)
    finally:
        model.set_attn_implementation(before)
    tokens = layers[0].tokens
    if not tokens:
        raise BadTensor("there was no token to calibrate on; give at least one batch longer than `skip`")
    mean = torch.stack([layer.mean for layer in layers if layer.mean is not None]) / tokens
    length = torch.stack([layer.length for layer in layers if layer.length is not None]) / tokens
    return Calibration(mean.to(torch.complex64).cpu(), length.float().cpu(), rope, tokens)
