"""The methods of kvpress on the same exams. Runs in an environment of its own, from another directory, by itself:

    python -P peer.py JOB.json RESULT.json

It imports nothing of this repository, whose folder `kernels` must not be found in place of another library's.
"""

from __future__ import annotations

import json
import sys

import kvpress
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, DynamicCache

METHODS = {
    "SnapKV": lambda r: kvpress.SnapKVPress(compression_ratio=r, window_size=16),
    "PyramidKV": lambda r: kvpress.PyramidKVPress(compression_ratio=r, window_size=16),
    "ExpectedAttention": lambda r: kvpress.ExpectedAttentionPress(compression_ratio=r),
    "KeyDiff": lambda r: kvpress.KeyDiffPress(compression_ratio=r),
    "TOVA": lambda r: kvpress.TOVAPress(compression_ratio=r),
    "LagKV": lambda r: kvpress.LagKVPress(compression_ratio=r),
    "LeverageScore": lambda r: kvpress.LeverageScorePress(compression_ratio=r),
    "CUR": lambda r: kvpress.CURPress(compression_ratio=r),
    "NonCausalAttn": lambda r: kvpress.NonCausalAttnPress(compression_ratio=r),
    "Compactor": lambda r: kvpress.CompactorPress(compression_ratio=r),
    "Knorm": lambda r: kvpress.KnormPress(compression_ratio=r),
    "StreamingLLM": lambda r: kvpress.StreamingLLMPress(compression_ratio=r),
    "Random": lambda r: kvpress.RandomPress(compression_ratio=r, seed=0),
}


def main() -> None:
    """Answer every exam with every method at every kept share."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    torch.set_num_threads(1)
    results = []
    for item in job["exams"]:
        model = AutoModelForCausalLM.from_pretrained(item["model"], dtype=torch.bfloat16, attn_implementation="sdpa")
        model.eval()
        exam = load_file(item["file"])
        for name, make in METHODS.items():
            if job["methods"] and name not in job["methods"]:
                continue
            for kept in item["kept"]:
                try:
                    right, nbytes = answer(model, exam, make(1 - kept))
                except Exception as error:
                    results.append({"key": item["key"], "method": name, "kept": kept, "error": repr(error)[:200]})
                    continue
                results.append({"key": item["key"], "method": name, "kept": kept, "right": right, "nbytes": nbytes})
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump({"kvpress": getattr(kvpress, "__version__", ""), "results": results}, file)


def answer(model, exam, press) -> tuple[list[list[int]], float]:
    """(right [contexts][questions], bytes of the cache's tensors a context)."""
    right, nbytes, parts = [], 0.0, 0
    for context, tail, answers in zip(
        exam["context"].split(16), exam["tail"].split(16), exam["answers"].split(16), strict=True
    ):
        cache = DynamicCache()
        with torch.no_grad():
            with press(model):
                model.model(context, past_key_values=cache, use_cache=True)
            nbytes += sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) / context.shape[0]
            parts += 1
            at = torch.arange(context.shape[1], context.shape[1] + tail.shape[1])[None]
            logits = model(tail, past_key_values=cache, use_cache=True, position_ids=at).logits
        asked = answers >= 0
        right += (logits.argmax(-1) == answers)[asked].view(context.shape[0], -1).int().tolist()
    return right, nbytes / parts


if __name__ == "__main__":
    main()
