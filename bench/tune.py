"""`python -m bench.tune --data FILE`: choose the weights of the ranking anew, where the package reads them.

With --embedder those for ranking with that model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile

import swarm_indexes
from swarm_indexes.sentences import SentenceModel

from .conversations import tuned

__all__ = ["main"]


def main() -> int:
    """Fit on all conversations of the file; 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.tune", description=__doc__)
    parser.add_argument("--data", required=True, metavar="FILE", help="conversations in LoCoMo's JSON shape")
    parser.add_argument("--out", metavar="FILE", help="where to (default: that file of the package)")
    parser.add_argument("--embedder", metavar="PATH", help="a sentence-transformers model, or a graph in it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swarm-tune-") as directory:
        found = tuned(directory, options.data, SentenceModel(options.embedder) if options.embedder else None)
    name = "weights_meaning.json" if options.embedder else "weights.json"
    target = options.out or os.path.join(os.path.dirname(str(swarm_indexes.__file__)), name)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(found._asdict(), file, indent=1)
        file.write("\n")
    print(f"{target}: {len(found.features)} features")
    return 0


if __name__ == "__main__":
    sys.exit(main())
