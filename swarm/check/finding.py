"""Something that a check found, and what all checks found together."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "Report"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not in order. `severity` is "error" or "warn", `where` a path or a commit."""

    severity: str
    rule: str
    where: str
    message: str
    file: str = ""
    """The file of the code that it is about, if it is about one."""
    first: int = 0
    """Its lines there, from 1; 0 where it is about no lines."""
    last: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what was found."""

    entries: int
    commits: int
    findings: tuple[Finding, ...]
    unseen: tuple[str, ...] = ()
    """What could not be looked at here, and what to do about it."""

    @property
    def ok(self) -> bool:
        """Whether no error was found; warnings are for people."""
        return all(finding.severity != "error" for finding in self.findings)
