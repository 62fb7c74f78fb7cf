"""Tiny models with random weights, of every supported type."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from swarm_kernels.attention import NAME

KINDS = ("llama", "qwen2", "qwen3")
VOCABULARY = 64


def tiny(
    kind: str = "llama", head_dim: int = 16, heads: int = 4, kv_heads: int = 2, layers: int = 2, **rope: Any
) -> Any:
    """A model in float32 with our attention; keys and queries large enough that attention is not flat."""
    configs = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
    models = {"llama": LlamaForCausalLM, "qwen2": Qwen2ForCausalLM, "qwen3": Qwen3ForCausalLM}
    config = configs[kind](
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        **({"rope_parameters": {"rope_theta": 10000.0, **rope}} if rope else {}),
    )
    torch.manual_seed(0)
    model = models[kind](config).eval()
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.mul_(6)
            layer.self_attn.k_proj.weight.mul_(6)
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
                if projection.bias is not None:
                    projection.bias.normal_()
        if kind == "qwen3":
            for layer in model.model.layers:
                layer.self_attn.q_norm.weight.uniform_(0.5, 3)
    model.set_attn_implementation(NAME)
    return model


def tokens(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random ids without the padding's, int64 [batch, length]."""
    return torch.randint(1, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def logits(model: Any, ids: torch.Tensor, cache: Any, mask: torch.Tensor | None = None, **more: Any) -> torch.Tensor:
    """One forward."""
    with torch.no_grad():
        return model(ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more).logits
