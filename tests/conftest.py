"""What several tests share: stores in a temporary place, and requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_ledger.env import Env
from swarm_ledger.gitstore import GitStore, create_repository
from swarm_ledger.memory import MemoryStore
from swarm_ledger.store import Append, Delete, Op, Put, Request, Store


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A ledger's home with its settings committed."""
    place = str(tmp_path / "swarm")
    create_repository(place, Env())
    store = GitStore(place)
    store.initialise("swarm", "begin")
    store.close()
    return place


@pytest.fixture
def git_store(home: str) -> Iterator[GitStore]:
    """A git store on a ledger with its settings committed."""
    store = GitStore(home)
    yield store
    store.close()


@pytest.fixture(params=["memory", "git"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        made: Store = MemoryStore()
    else:
        create_repository(str(tmp_path / "swarm"), Env())
        made = GitStore(str(tmp_path / "swarm"))
    yield made
    made.close()


@pytest.fixture
def make_request() -> Callable[..., Request]:
    """Makes a request of the given ops, with an id of its own."""
    rng = random.Random(7)

    def make(*ops: Op, agent: str = "ada", **fields: str) -> Request:
        name = fields.pop("id", None) or "".join(rng.choices("0123456789abcdefghjkmnpqrstvwxyz", k=26))
        return Request(name, agent, "s1", 1_763_722_443, fields.pop("subject", "a write"), ops)

    return make


__all__ = ["Append", "Delete", "Put"]
