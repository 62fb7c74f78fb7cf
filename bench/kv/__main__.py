"""Recall, bytes and time of compressed caches on small models trained here, side by side with kvpress.

No real language model is in these figures: see docs/KV.md. `python -m bench.kv.real --model PATH` takes one.
"""

from __future__ import annotations

import sys

import torch

from bench import table

from . import agreement, chain, distortion, flush, memory, needles, quantised, recall

ROWS = {
    "distortion": distortion.row,
    "memory": memory.row,
    "quantised": quantised.row,
    "recall": recall.row,
    "composed": recall.composed_row,
    "needles": needles.row,
    "agreement": agreement.row,
    "chain": chain.row,
    "flush": flush.row,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(table.main("kv", __doc__, ROWS))
