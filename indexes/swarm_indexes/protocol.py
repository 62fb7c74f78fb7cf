"""What a search index of a ledger can do. `lexical.Fts5Index` does it; another engine may take its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .filters import EVERYTHING, Filters

if TYPE_CHECKING:
    from .hits import Hit

__all__ = ["LexicalIndex"]


class LexicalIndex(Protocol):
    """One conformance suite (tests/indexes/test_conformance.py) holds every implementation to this.

    It is derived from the ledger and can be thrown away. Whatever it is asked, it first takes in what was committed by
    then, by whatever process; so everything here raises Busy, StorageError, and what the ledger's store raises.
    """

    terms_left_out: int
    """How many distinct terms of the last query were too many and not searched for."""
    progress: Callable[[int, int], None]
    """Told (files taken in, of how many) now and then while much is taken in."""

    @property
    def rebuilt(self) -> str:
        """Why the index had to be made anew: "missing", "foreign" or "damaged"; "" if it had not."""

    def catch_up(self) -> int:
        """Take in what the ledger holds by now; the number of entries that were written or removed for it."""

    def reindex(self) -> int:
        """Build the index from nothing; the number of entries in it."""

    def search(self, query: str, filters: Filters = EVERYTHING, *, k: int = 10) -> list[Hit]:
        """The `k` best entries for `query`, best first; without a word to rank by the newest. Raises BadInput."""

    def did_you_mean(self, query: str) -> str | None:
        """`query` with words that no entry holds replaced by near ones; None where none is near."""

    def get(self, entry_id: str) -> Hit | None:
        """The entry with this id, or None."""

    def beside(self, entity: str) -> list[tuple[str, int]]:
        """What else is mentioned in the newest entries that mention `entity`, with in how many; the most first."""

    def counts(self) -> dict[str, int]:
        """Kind → number of entries, of the kinds that there are, in alphabetical order."""

    def flaws(self) -> list[tuple[str, str]]:
        """(path, what is wrong) of the files that could not be read as entries, in path order."""

    def check(self) -> list[str]:
        """What is wrong with the index, one line each; empty if it is sound."""

    def close(self) -> None:
        """Release what it holds open."""
