"""A row of the table: what is measured, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

__all__ = ["Context", "Figure", "Outcome", "Row"]


@dataclass(frozen=True)
class Context:
    """Where a row may work, and how much time it may take."""

    directory: str
    quick: bool
    data: str = ""
    """A file to measure with, where the rows are of one."""
    embedder: str = ""
    """The path of a sentence-transformers model, to measure with it too."""

    def pick(self, full: int, quick: int) -> int:
        """`full`, or `quick` where a rough answer will do."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Figure:
    """One figure. `passed` is None where it is only for information."""

    name: str
    target: str
    measured: str
    passed: bool | None = None


@dataclass
class Outcome:
    """The figures of a row, and the numbers behind them."""

    figures: list[Figure] = field(default_factory=list)
    detail: dict[str, object] = field(default_factory=dict)

    def add(self, name: str, target: str, measured: str, passed: bool | None = None) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, target, measured, passed))

    def as_json(self) -> dict[str, object]:
        """As JSON data."""
        figures = [{**asdict(figure), "pass": figure.passed} for figure in self.figures]
        for figure in figures:
            del figure["passed"]
        return {"figures": figures, "detail": self.detail}


Row = Callable[[Context], Outcome]
