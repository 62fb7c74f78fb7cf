"""Secrets in what is about to be written: a ledger keeps its history, and goes where the repository goes.

The patterns are those of detect-secrets: keys and tokens of known services, private keys, passwords in addresses. They
are loaded only for a text that might hold one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

__all__ = ["secret_in", "secret_in_file"]

_SUSPECT = re.compile(r"PRIVATE KEY|BEGIN |://[^\s/]+:[^\s/]+@")
_LONG = re.compile(r"[A-Za-z0-9_+=-]{13,}")
_LETTER, _DIGIT = re.compile(r"[A-Za-z]"), re.compile(r"[0-9]")
"""Every secret of a known form has a suspect mark somewhere, or is a long run of letters and digits."""

_OURS = re.compile(
    r"\b(?:fact|log|task|reflection|contested|tombstone)-[0-9]{6}-[0-9a-z]{8}\b"
    r"|\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b|\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?"
)
"""Ids, object names, digests and times, which look like some."""

_MARKS = re.compile(r"\bmarks: *[\"']?[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}")
"""Those of a citation may look like anything."""

_LEFT_OUT = frozenset({"IPPublicDetector", "KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString"})
"""Detectors of what is often no secret."""


def secret_in(text: str) -> str | None:
    """What kind of secret `text` holds, such as "AWS Access Key"; None for none."""
    text = _OURS.sub("", text)
    runs = (run for run in _LONG.findall(text) if _LETTER.search(run) and _DIGIT.search(run))
    if next(runs, None) is None and not _SUSPECT.search(text):
        return None
    for kind, detector in _detectors():
        if any(True for _ in detector.analyze_string(text)):
            return kind
    return None


def secret_in_file(text: bytes) -> str | None:
    """The same of an entry as a file or a log has it."""
    return secret_in(_MARKS.sub("", text.decode(errors="replace")))


@cache
def _detectors() -> list[tuple[str, Any]]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    classes: dict[str, Any] = get_mapping_from_secret_type_to_class()
    return [(kind, one()) for kind, one in sorted(classes.items()) if one.__name__ not in _LEFT_OUT]
