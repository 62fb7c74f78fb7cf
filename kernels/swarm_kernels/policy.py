"""What is to be done to a cache: one validated object."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .backend import BackendName
from .errors import BadPolicy

__all__ = ["Method", "Policy"]

Method = Literal["triattention", "snapkv", "pyramidkv", "rkv", "streaming", "random", "knorm"]


class Policy(BaseModel):
    """How a cache is pruned and quantised. Raises BadPolicy where the parts contradict each other.

    The default quantises to 4 bits whatever has left a window of 128 recent tokens, and evicts nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bits_k: int | None = Field(4, ge=1, le=8)
    """Bits a value of the keys; None, for both, leaves keys and values as they are."""
    bits_v: int | None = Field(4, ge=1, le=8)
    quantizer: Literal["turboquant", "kivi"] = "turboquant"
    key_mean: bool | None = None
    """Take the mean of each head's keys before rotation off before quantising, and add it back exactly in the logits.
    None: where the model's keys have a bias, which makes such means large."""
    evict: Method | None = None
    """Which tokens are kept when there are more than `budget`."""
    budget: int | None = Field(None, ge=1)
    """Tokens kept a KV head, sinks and window included; with the prompt pinned, tokens kept beside the prompt."""
    prune_prompt: bool = False
    """Whether tokens of the prompt may be evicted. A score that has not seen the question can lose its answer."""
    prefix: int = Field(4, ge=0)
    """The first tokens, which are never evicted."""
    segments: int = Field(8, ge=1)
    quota: float = Field(0.5, ge=0, le=1)
    """The tokens to be kept are shared out over so many equal spans of the text, this share of them; the best of all
    spans take what is left. 0 is a plain best-of-all."""
    sinks: int = Field(4, ge=0)
    """The first tokens, which are never quantised."""
    window: int = Field(128, ge=0)
    """Recent tokens that are neither evicted nor quantised."""
    slack: int = Field(64, ge=1)
    """Tokens that gather beyond the window before it is flushed: scored, pruned, quantised."""
    backend: BackendName = "auto"
    """What computes: "auto" is Triton's kernels for tensors on a CUDA GPU and plain PyTorch elsewhere, and everywhere
    for what has no kernel: kivi, and other widths than 2, 3 and 4 bits."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the rotations, and of random eviction."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadPolicy(f"policy: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        self._agree()

    @property
    def quantises(self) -> bool:
        """Whether keys and values are quantised."""
        return self.bits_k is not None

    @property
    def has_kernels(self) -> bool:
        """Whether Triton has kernels for all that this policy asks for."""
        return self.quantizer != "kivi" and all(bits in (2, 3, 4, None) for bits in (self.bits_k, self.bits_v))

    def _agree(self) -> None:
        if (self.bits_k is None) != (self.bits_v is None):
            raise BadPolicy("policy: give bits for both keys and values, or None for both")
        if (self.evict is None) != (self.budget is None):
            raise BadPolicy("policy: `evict` and `budget` go together; give both or neither")
        if self.bits_k is None and self.evict is None:
            raise BadPolicy("policy: nothing to do; give bits, or a method and a budget")
        if self.budget is not None:
            exempt = self.window + (max(self.sinks, self.prefix) if self.prune_prompt else 0)
            if self.budget < exempt:
                raise BadPolicy(
                    f"policy: a budget of {self.budget} is below the {exempt} tokens of window and prefix that are "
                    "always kept; raise it, or make them smaller"
                )
        if self.backend == "triton" and not self.has_kernels:
            raise BadPolicy('policy: there are kernels for 2, 3 and 4 bits, none for kivi; use the backend "torch"')
        if self.quantizer == "kivi":
            if self.evict is not None or self.sinks or self.slack % 32:
                raise BadPolicy("policy: kivi quantises keys in groups of 32 tokens: no eviction, sinks 0, slack n·32")
            if not self.quantises:
                raise BadPolicy("policy: kivi needs bits")
