"""How bad each kind of finding is, where the ledger's settings say."""

from __future__ import annotations

from collections.abc import Mapping

from swarm_ledger.errors import BadInput
from swarm_ledger.ids import quoted
from swarm_ledger.store import Version

__all__ = ["RULES", "severities"]

RULES = (
    *(
        "parse",
        "place",
        "empty",
        "unique",
        "link",
        "citation",
        "secret",
        "author",
        "once",
        "trailers",
        "base",
        "foreign",
        "state",
        "fence",
    ),
    *("evidence", "contested", "duplicate", "expired", "derived", "owned"),
)
"""The rules that findings name."""


def severities(settings: Version | None) -> Mapping[str, str]:
    """Rule → "error", "warn" or "off", from `check: {evidence: warn}` in the settings. Raises BadInput."""
    if settings is None or b"check" not in settings.text:
        return {}
    from swarm_ledger.yaml12 import load

    given = load(settings.text.decode(errors="replace")).get("check") or {}
    if not isinstance(given, dict):
        raise BadInput("swarm.yaml: check is a mapping, such as `check: {evidence: warn}`.")
    for rule, severity in given.items():
        if rule not in RULES or severity not in ("error", "warn", "off"):
            raise BadInput(
                f"swarm.yaml: check: {quoted(str(rule))} is no rule, or {quoted(str(severity))} no severity.\n"
                f"Rules are {', '.join(RULES)}; each may be error, warn or off."
            )
    return given
