"""The recall model: a Llama of half a million parameters, small enough to train here and to look into."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from .task import VOCABULARY

__all__ = ["WEIGHTS", "build", "load", "save", "untrained"]

WEIGHTS = Path(__file__).with_name("weights")
"""The weights of two seeds, with the logs of their training."""


def build() -> LlamaForCausalLM:
    """The model, with random weights."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=None,
            pad_token_id=0,
            attn_implementation="sdpa",
        )
    )


def untrained(layers: int, width: int, inner: int, heads: int, kv_heads: int, d: int) -> LlamaForCausalLM:
    """A Llama of these sizes in bfloat16 with random weights, always the same: for bytes and times, not for answers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1024, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=d, max_position_embeddings=8192,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(torch.bfloat16).eval()


def load(path: Path) -> LlamaForCausalLM:
    """The model with the weights in `path`, in float32, for inference."""
    model = build()
    weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(f"{path} does not hold this model: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.eval()


def save(model: LlamaForCausalLM, path: Path) -> None:
    """Write the weights to `path` as float16, the tied head left out."""
    state = {
        name: tensor.half().contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        save_file(state, path)
