"""Train a recall model: `python -m bench.kv.train --seed 0`. A few minutes on one core; goes on where it was stopped.

First it learns to continue a repeated random string of any length, then recall and chains in contexts of 32 to 1,024
tokens. A stage ends when what it trains on is answered well enough, so the number of steps differs from seed to seed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from .model import WEIGHTS, build, save
from .task import Batch, chains, recalls, repeats

STAGES = [("repeat", 8), ("repeat", 24), ("recall", 32), ("recall", 64), ("recall", 128), ("recall", 256),
          ("recall", 512), ("recall", 1024), ("recall", 0)]  # fmt: skip
"""What is trained on one after the other: (task, length); length 0 is a mix of all lengths."""
ENOUGH = {"repeat": 0.9, "recall": 0.93}
MIXED_STEPS = 400
TOKENS = 4096  # a step


def main() -> None:
    """Train to the end, or until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bench.kv.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, default=WEIGHTS, help="directory of the weights and the log")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long; run again to go on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.to.mkdir(parents=True, exist_ok=True)
    train(options.seed, options.to, time.monotonic() + 60 * options.minutes)


def train(seed: int, directory: Path, deadline: float) -> None:
    """Train the model of `seed`, keeping a checkpoint beside the weights until they are done."""
    checkpoint, log = directory / f"recall-{seed}.pt", directory / f"recall-{seed}.jsonl"
    torch.manual_seed(seed)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    stage = step = within = 0
    seconds, good = 0.0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        stage, step, within, seconds = state["stage"], state["step"], state["within"], state["seconds"]
    began = time.process_time()
    while stage < len(STAGES):
        task, length = STAGES[stage]
        loss, right = one_step(model, optimizer, draw(task, length, seed, step), rate(step, stage, within))
        good = 0.9 * good + 0.1 * right
        step, within = step + 1, within + 1
        spent = seconds + time.process_time() - began
        finished = within >= MIXED_STEPS if length == 0 else good > ENOUGH[task]
        if finished or step % 25 == 0:
            line = {"step": step, "task": task, "length": length, "loss": round(loss, 4), "right": round(good, 4),
                    "cpu_seconds": round(spent, 1)}  # fmt: skip
            print(json.dumps(line), flush=True)
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if finished:
            stage, within, good = stage + 1, 0, 0.0
        if time.monotonic() > deadline or step % 100 == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "stage": stage, "step": step,
                     "within": within, "seconds": spent}  # fmt: skip
            torch.save(state, f"{checkpoint}.new")
            os.replace(f"{checkpoint}.new", checkpoint)
            if time.monotonic() > deadline:
                return
    save(model, directory / f"recall-{seed}.safetensors")
    checkpoint.unlink(missing_ok=True)


def rate(step: int, stage: int, within: int) -> float:
    """The learning rate: warm-up, constant, and down to a twentieth over the last stage."""
    if stage == len(STAGES) - 1:
        return 2e-3 * (1 - 0.95 * within / MIXED_STEPS)
    return 2e-3 * min(1.0, (step + 1) / 50)


def draw(task: str, length: int, seed: int, step: int) -> Batch:
    """The batch of a step: the same in every run of the same seed."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    if task == "repeat":
        # Of any length up to this one: a fixed distance is learnt as a distance, and then recall has to begin anew.
        some = int(torch.randint(4, length + 1, (1,), generator=generator))
        return repeats(TOKENS // (2 * length), some, generator)
    if length == 0:
        length = (64, 128, 256, 512, 1024)[step % 5]
    batch = max(2, TOKENS // (length * 3 // 2))
    records = min(length // 6, 64)
    records = max(2, int(torch.randint(min(4, records), records + 1, (1,), generator=generator)))
    if step % 4 == 3:
        return chains(batch, length, records, min(2 * records, 96), generator)
    return recalls(batch, length, records, generator)


def one_step(
    model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, batch: Batch, rate: float
) -> tuple[float, float]:
    """One step of AdamW on the answers; (loss, share of answers right)."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    hidden = model.model(torch.cat([batch.context, batch.tail], 1)).last_hidden_state[:, batch.context.shape[1] :]
    asked = batch.answers >= 0
    logits, wanted = model.lm_head(hidden[asked]), batch.answers[asked]
    loss = cross_entropy(logits, wanted)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item(), float((logits.argmax(-1) == wanted).float().mean())


if __name__ == "__main__":
    main()
