"""Compressed caches as files: what was computed from a text once is read back by any process with the same model.

A file is safetensors, version 1: the tensors of every layer as they are allocated, `<layer>.<near|held|fixed>.<name>`,
and in its metadata `about`, JSON of what the cache was computed from and of the layers' counters, and `sha256` over
`about` and all tensors. It is a checksum, no signature. Nothing of it is executed, and nothing is read back that was
computed from another model, rotation, policy, calibration, tokenizer or text.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .cache import CompressedCache
from .calibration import Calibration
from .codebook import centroids
from .errors import BadFile, BadTensor
from .policy import Policy
from .rope import Rope
from .rotation import rotation_matrix

__all__ = ["key_of", "restore", "save"]

FORMAT = "1"
_SHAPE = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
          "num_key_value_heads", "head_dim", "rms_norm_eps", "hidden_act", "attention_bias")  # fmt: skip


def key_of(model: Any, policy: Policy, ids: Tensor, calibration: Calibration | None = None, tokenizer: str = "") -> str:
    """A name for the cache of a text under a policy, the same in every process: sha256, in hex.

    `ids` are the tokens that the cache has seen, [B, T], padding as -1; `tokenizer` is anything that changes when the
    tokenizer does, such as its file's sha256.
    """
    return _sha256(_json(_origin(model, policy, ids, calibration, tokenizer)).encode())


def save(cache: CompressedCache, path: Path, model: Any, ids: Tensor, tokenizer: str = "") -> str:
    """Write the cache of `ids` to `path`; returns its key.

    The file is there whole, and on disk, or it is as it was before. Raises BadTensor where `ids` are not the tokens
    that the cache has seen, in number.
    """
    if ids.ndim != 2 or ids.shape[1] != cache.get_seq_length():
        raise BadTensor(
            f"ids of shape {tuple(ids.shape)} for a cache that has seen {cache.get_seq_length()} tokens; give the ids "
            "of exactly those, [batch, tokens]"
        )
    origin = _origin(model, cache.policy, ids, cache.calibration, tokenizer)
    layers = [[layer.filled, layer.seen, asdict(layer.counts)] for layer in cache.compressed]
    about = _json({"origin": origin, "layers": layers})
    tensors = {
        f"{index}.{part}.{name}": tensor.detach().cpu().contiguous()
        for index, layer in enumerate(cache.compressed)
        for part, held in layer.parts().items()
        for name, tensor in held.items()
    }
    path = Path(path)
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    os.close(descriptor)
    try:
        save_file(tensors, written, {"format": FORMAT, "about": about, "sha256": _digest(about, tensors)})
        _sync(written)
        os.replace(written, path)
    except BaseException:
        Path(written).unlink(missing_ok=True)
        raise
    _sync(str(path.parent))
    return _sha256(_json(origin).encode())


def restore(
    path: Path,
    model: Any,
    policy: Policy,
    ids: Tensor,
    calibration: Calibration | None = None,
    tokenizer: str = "",
) -> CompressedCache:
    """The cache that was saved to `path`, on the model's devices: the next token is the one after `ids`.

    Raises BadFile where there is none, where a byte of it is not what was written, and where it was computed from
    anything else than what is given here, naming what differs.
    """
    try:
        with safe_open(path, "pt") as file:
            meta = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise BadFile(f"there is no saved cache at {path}; compute it, and save it there") from None
    except (OSError, SafetensorError) as error:
        raise BadFile(f"{path} cannot be read ({error}); remove it, and compute the cache again") from None
    if meta.get("format") != FORMAT:
        raise BadFile(f"{path} is no saved cache of version {FORMAT}; remove it, and compute the cache again")
    if meta.get("sha256") != _digest(meta.get("about", ""), tensors):
        raise BadFile(f"{path} is damaged: its checksum does not hold; remove it, and compute the cache again")
    about = json.loads(meta["about"])
    wanted = _origin(model, policy, ids, calibration, tokenizer)
    other = [name for name, value in wanted.items() if about["origin"].get(name) != value]
    if other:
        raise BadFile(f"{path} was saved with another {', another '.join(other)}; give the same, or compute it again")
    cache = CompressedCache(model, policy, calibration)
    for index, (layer, (filled, seen, counts)) in enumerate(zip(cache.compressed, about["layers"], strict=True)):
        device = model.get_decoder().layers[index].self_attn.k_proj.weight.device
        for part, held in layer.parts().items():
            prefix = f"{index}.{part}."
            held |= {name[len(prefix) :]: t.to(device) for name, t in tensors.items() if name.startswith(prefix)}
        layer.resume(filled, seen, counts)
    return cache


def _origin(model: Any, policy: Policy, ids: Tensor, calibration: Calibration | None, tokenizer: str) -> dict[str, str]:
    """What a cache follows from, each part in a form that can be compared."""
    config, decoder, rope = model.config, model.get_decoder(), Rope.of(model)
    shape = {name: getattr(config, name, None) for name in _SHAPE}
    weights = {
        f"{index}.{name}": tensor
        for index in (0, len(decoder.layers) - 1)
        for name, tensor in decoder.layers[index].state_dict().items()
    }
    d = 2 * rope.speeds.numel()
    bits = [policy.bits_k, policy.bits_v] if policy.quantises and policy.quantizer == "turboquant" else []
    codes = {f"codebook {b}": torch.tensor(centroids(d, b), dtype=torch.float64) for b in bits if b is not None}
    codes |= {f"rotation {i}": rotation_matrix(d, policy.seed + i) for i in range(len(bits))}
    statistics = {} if calibration is None else {
        "mean": torch.view_as_real(calibration.mean), "length": calibration.length, "speeds": calibration.rope.speeds,
    }  # fmt: skip
    return {
        "model": _digest(_json(shape), weights),
        "rotary embedding": _digest(repr(rope.scaling), {"speeds": rope.speeds}),
        "policy": _json(policy.model_dump(exclude={"backend"})),
        "rotation or codebook": _digest("", codes),
        "calibration": _digest("", statistics),
        "tokenizer": tokenizer,
        "text": _digest("", {"ids": ids.to(torch.int32)}),
    }


def _digest(about: str, tensors: dict[str, Tensor]) -> str:
    found = hashlib.sha256(about.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _json(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
