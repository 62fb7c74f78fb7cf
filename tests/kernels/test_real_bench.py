"""The measurement of a real model runs on any supported model with a tokenizer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.kernels.models import VOCABULARY, tiny

ROOT = Path(__file__).parents[2]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_it_measures_a_model_from_a_directory(tmp_path: Path) -> None:
    """A tiny Qwen2 with a tokenizer of characters: every policy gives a recall, a divergence and a ratio of bytes."""
    letters = sorted(set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789. "))
    vocabulary = {letter: index for index, letter in enumerate(letters[: VOCABULARY - 1])}
    vocabulary["<unk>"] = VOCABULARY - 1
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(tmp_path)
    model = tiny("qwen2")
    model.set_attn_implementation("sdpa")
    model.save_pretrained(tmp_path)
    command = [sys.executable, "-m", "bench.kv.real", "--model", str(tmp_path), "--tokens", "500", "--texts", "1",
               "--json", str(tmp_path / "out.json")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert len(report["policies"]) == 3 + 2 * 4 * 2
    assert report["policies"]["full"]["times_fewer_bytes"] == 1.0
    assert report["policies"]["triattention 10% K4/V4"]["times_fewer_bytes"] > 5
    assert report["policies"]["K4/V4"]["kl"] < 1


def test_a_model_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Exit code 2 and a line, no traceback."""
    command = [sys.executable, "-m", "bench.kv.real", "--model", str(tmp_path / "none")]
    done = subprocess.run(command, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
