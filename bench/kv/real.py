"""The same on a real model: `python -m bench.kv.real --model PATH [--tokens 4096]`, into .bench/kv-real.json.

Records of a code are strewn through filler sentences; the questions come when the text is compressed. What is printed
holds for the model at PATH and these texts, and for nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from typing import Any

import torch
from torch.nn.functional import kl_div, log_softmax
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench import machine
from swarm_kernels.attention import NAME
from swarm_kernels.cache import CompressedCache
from swarm_kernels.calibration import Calibration, calibrate
from swarm_kernels.errors import KVError
from swarm_kernels.policy import Policy

from .harness import full_nbytes, new_cache

__all__ = ["main"]

RECORDS = 8
_FILLER = (
    "The river runs past the mill.",
    "Nobody came to the station that day.",
    "The windows were left open.",
    "Rain fell on the empty market.",
    "A dog slept under the table.",
    "The letter arrived in spring.",
)


def main() -> int:
    """Measure, print, and write the JSON. 0, or 2 where the model is not supported."""
    parser = argparse.ArgumentParser(prog="python -m bench.kv.real", description=__doc__)
    parser.add_argument("--model", required=True, help="directory of a Llama, Qwen2 or Qwen3 model with its tokenizer")
    parser.add_argument("--tokens", type=int, default=4096, help="length of a text (default: %(default)s)")
    parser.add_argument("--texts", type=int, default=8, help="how many texts (default: %(default)s)")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--json", default=".bench/kv-real.json")
    options = parser.parse_args()
    try:
        report = measure(options.model, options.tokens, options.texts, getattr(torch, options.dtype))
    except (KVError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    os.makedirs(os.path.dirname(options.json) or ".", exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    for name, found in report["policies"].items():
        print(f"{name:32} {found}")
    return 0


def measure(path: str, tokens: int, texts: int, dtype: torch.dtype) -> dict[str, Any]:
    """Recall, KL on the answers and bytes, with the full cache and under each policy."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(path)
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype).to(device).eval()
    model.set_attn_implementation(NAME)
    CompressedCache(model, Policy())  # refuses what is not supported, before any work
    stories = [story(tokenizer, random.Random(seed), tokens, device) for seed in range(texts)]
    held_out, questions = story(tokenizer, random.Random(10_007), tokens, device)
    asked = torch.cat([held_out, *(ids for ids, _ in questions)], 1)
    calibration = calibrate(model, [asked], skip=held_out.shape[1])
    report: dict[str, Any] = {"model": path, "tokens": tokens, "texts": texts, "policies": {},
                              "machine": machine.describe("."), "device": device}  # fmt: skip
    exact: list[torch.Tensor] = []
    for name, policy in policies(tokens).items():
        right, nbytes, full_bytes, divergence, seconds = 0.0, 0, 0, 0.0, time.perf_counter()
        for index, (ids, pairs) in enumerate(stories):
            share, logits, sizes = answer(model, ids, pairs, policy, calibration)
            right, nbytes, full_bytes = right + share / texts, nbytes + sizes[0], full_bytes + sizes[1]
            if policy is None:
                exact.append(logits)
            else:
                near, far = log_softmax(logits, -1), log_softmax(exact[index], -1)
                divergence += float(kl_div(near, far, log_target=True, reduction="none").sum(-1).mean()) / texts
        report["policies"][name] = {
            "recall": round(right, 4),
            "kl": round(divergence, 5),
            "times_fewer_bytes": round(full_bytes / nbytes, 2),
            "seconds": round(time.perf_counter() - seconds, 1),
        }
    return report


def policies(tokens: int) -> dict[str, Policy | None]:
    """The full cache, quantised, and pruned to a quarter and a tenth with and without quantising."""
    found: dict[str, Policy | None] = {
        "full": None,
        "K4/V4": Policy(bits_k=4, bits_v=4),
        "K4/V3": Policy(bits_k=4, bits_v=3),
    }
    for share in (0.25, 0.1):
        for method in ("triattention", "snapkv", "streaming", "random"):
            for bits in (None, 4):
                window = min(128, int(tokens * share) // 4)
                found[f"{method} {share:.0%}{' K4/V4' if bits else ''}"] = Policy(
                    bits_k=bits, bits_v=bits, evict=method, budget=int(tokens * share), prune_prompt=True,
                    window=window, slack=1, prefix=4,
                )  # fmt: skip
    return found


def story(tokenizer: Any, rng: random.Random, tokens: int, device: str) -> tuple[torch.Tensor, list[Any]]:
    """(ids [1, n] of a text of about `tokens` tokens, [(ids of question and answer, tokens of the answer)])."""
    names = rng.sample(range(100, 999), RECORDS)
    codes = [rng.randint(10_000, 99_999) for _ in names]
    sentences: list[str] = []
    size = 0
    while size < tokens - 24 * RECORDS:
        sentences.append(rng.choice(_FILLER))
        size += len(tokenizer(sentences[-1], add_special_tokens=False).input_ids)
    for name, code in zip(names, codes, strict=True):
        sentences.insert(rng.randint(0, len(sentences)), f"The code of box {name} is {code}.")
    ids = tokenizer(" ".join(sentences), return_tensors="pt").input_ids.to(device)
    pairs = []
    for name, code in zip(names, codes, strict=True):
        question = tokenizer(f" The code of box {name} is", add_special_tokens=False, return_tensors="pt").input_ids
        reply = tokenizer(f" {code}", add_special_tokens=False, return_tensors="pt").input_ids
        pairs.append((torch.cat([question, reply], 1).to(device), reply.shape[1]))
    return ids, pairs


def answer(
    model: Any, ids: torch.Tensor, pairs: list[Any], policy: Policy | None, calibration: Calibration
) -> tuple[float, torch.Tensor, tuple[int, int]]:
    """(share of answers said in full, logits at their tokens, (bytes, bytes of a bfloat16 cache)).

    Questions follow one another, each with the right answers to those before it in sight.
    """
    cache = new_cache(model, policy, calibration)
    right, kept = 0, []
    with torch.no_grad():
        model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        full = policy is None
        sizes = (full_nbytes(cache),) * 2 if full else (cache.report().nbytes, cache.report().full_nbytes)
        for pair, length in pairs:
            logits = model(pair, past_key_values=cache, use_cache=True).logits[0, -length - 1 : -1].float()
            right += bool((logits.argmax(-1) == pair[0, -length:]).all())
            kept.append(logits)
    return right / len(pairs), torch.cat(kept), sizes


if __name__ == "__main__":
    sys.exit(main())
