"""agent-coherence at work: plays scripts of reads and writes on its store, and counts tokens for both sides.

Run by the peer's own interpreter. As in its published benchmark, a put and a miss cost the whole text and a hit costs
one token; each invalidation costs the twelve tokens that its documentation says a signal has.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from functools import cache
from typing import Any

import anthropic
from ccs.adapters import CCSStore
from tokenizers import Tokenizer

SIGNAL = 12
_VOCABULARY = Tokenizer.from_file(os.path.join(os.path.dirname(anthropic.__file__), "tokenizer.json"))


@cache
def tokens(text: str) -> int:
    """How many tokens `text` is."""
    return len(_VOCABULARY.encode(text).ids)


def main() -> None:
    """Read {script: [[verb, agent, artifact, text]], texts: [text]}; print what each costs."""
    warnings.simplefilter("ignore")
    given = json.load(sys.stdin)
    print(json.dumps({"peer": play(given["script"]), "texts": [tokens(text) for text in given["texts"]]}))


def play(script: list[list[str]]) -> dict[str, Any]:
    """Let the store do what the script says; what it cost, and what sending everything in full would have cost."""
    moves: list[dict[str, Any]] = []
    events: list[Any] = []
    store = CCSStore(strategy="lazy", on_metric=events.append, state_log=moves.append)
    out = {"baseline": 0, "writes": 0, "misses": 0, "hits": 0, "signals": 0, "mistaken": 0}
    known: dict[tuple[str, str], str] = {}
    current: dict[str, str] = {}
    for verb, agent, artifact, text in script:
        if verb == "write":
            moves.clear()
            store.put((agent, "shared"), artifact, {"content": text})
            current[artifact] = known[agent, artifact] = text
            out["baseline"] += tokens(text)
            out["writes"] += tokens(text)
            lost = {
                move["agent_name"]
                for move in moves
                if move["from_state"] != "INVALID" and move["to_state"] == "INVALID"
            }
            out["signals"] += SIGNAL * len(lost)
            continue
        events.clear()
        item = store.get((agent, "shared"), artifact)
        if item is None or item.value["content"] != current[artifact]:
            raise RuntimeError(f"{agent} read something else than what {artifact} is")
        out["baseline"] += tokens(current[artifact])
        if events[-1].cache_hit:
            out["hits"] += 1
        else:
            out["misses"] += tokens(current[artifact])
            out["mistaken"] += known.get((agent, artifact)) == current[artifact]
        known[agent, artifact] = current[artifact]
    out["tokens"] = out["writes"] + out["misses"] + out["hits"] + out["signals"]
    return out


if __name__ == "__main__":
    main()
