"""Search the ledger by words, and by kind, agent, entity, room and time. Best first.

Words rank. In the query, title:WORD, "a phrase", wild*, at:'last week', AND, OR, NOT and parentheses are conditions
that every hit meets (docs/RETRIEVAL.md).
"""

from __future__ import annotations

import argparse

from swarm_ledger.errors import BadInput

from .call import Call
from .output import say, say_json, stands, warn

EXAMPLE = """
swarm recall session expiry
swarm recall "flaky test" -k 5 --kind log --by backend --since 2026-11-20
swarm recall "what failed yesterday between 14:00 and 16:00?" --explain
swarm recall --to backend
swarm recall 'title:cache (stale OR expired) at:[monday TO now] NOT kind:task'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The query and filters."""
    parser.add_argument("query", metavar="QUERY", nargs="*", help="words; none with a filter lists the newest")
    parser.add_argument("-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    for name, metavar, text in (
        ("kind", "KIND", "only entries of this kind: fact, log, task, plan, entity, reflection, …"),
        ("by", "AGENT", "only what this agent recorded"),
        ("to", "AGENT", "only log entries that are for this agent"),
        ("entity", "ENTITY", "only what mentions it: an id, type:name or a name (of any type)"),
        ("room", "ROOM", "only what is filed there: auth (in any wing), backend/auth, or a wing, backend/"),
    ):
        parser.add_argument(f"--{name}", action="append", metavar=metavar, help=f"{text}; several: any of them")
    parser.add_argument(
        "--since",
        metavar="TIME",
        help='only from then on: a date, a time like 2026-11-21T10:54:03Z, or as people say it, "last tuesday", '
        '"2 hours ago"; looks at valid_from where an entry has one, else at when it was recorded',
    )
    parser.add_argument("--until", metavar="TIME", help="only up to then, a day being all of it; as --since")
    parser.add_argument(
        "--as-of",
        metavar="TIME",
        help="what was recorded by then, in its words of then: a time as for --until",
    )
    parser.add_argument(
        "--min-score", type=float, default=0.0, metavar="P", help="leave out what answers with a lesser chance, 0 to 1"
    )
    parser.add_argument(
        "--no-priors", action="store_true", help="do not rank what was shown, edited or cited lately a little higher"
    )
    parser.add_argument("--explain", action="store_true", help="show what made each hit rank where it does")


def run(call: Call) -> int:
    """Print the hits."""
    from swarm_indexes.filters import Filters
    from swarm_indexes.syntax import FIELDS, unknown_fields

    options = call.options
    filters = Filters(*(getattr(options, name) for name in Filters._fields))
    if not 0.0 <= options.min_score <= 1.0:
        raise BadInput(f"--min-score {options.min_score}: a chance is from 0 to 1.")
    query = " ".join(options.query)
    priors = not options.no_priors
    hits = call.reader.recall(query, filters, k=options.k, least=options.min_score, as_of=options.as_of, priors=priors)
    for number, hit in enumerate(hits, 1):
        standing = hit.standing
        if call.json:
            say_json(
                {**hit._asdict(), "shares": dict(hit.shares), "standing": standing._asdict() if standing else None}
            )
            continue
        say(f"{number}. {hit.id}{_score(hit.score)}  {hit.title}")
        about = [
            f"by {hit.by}",
            f"to {', '.join(hit.to)}" if hit.to else "",
            hit.at,
            f"valid from {hit.valid_from}" if hit.valid_from else "",
            f"until {hit.until}" if hit.until else "",
            hit.status,
            f"superseded by {', '.join(hit.superseded_by)}" if hit.superseded_by else "",
            stands(standing._replace(expired=standing.expired and not hit.superseded_by)) if standing else "",
        ]
        say(f"   {', '.join(part for part in about if part)}")
        if hit.snippet and hit.snippet != hit.title:
            say(f"   {hit.snippet}")
        if options.explain and hit.shares:
            parts = sorted(hit.shares.items(), key=lambda part: -abs(part[1]))
            say(f"   {', '.join(f'{name} {share:+.2f}' for name, share in parts)}")
    if options.explain and call.swarm.embedder and not call.json:
        say(f"meaning by {call.swarm.embedder.name}")
    if not hits and not call.json:
        say("nothing good: no entry answers with that chance." if options.min_score else "nothing found.")
    if not hits and (meant := call.swarm.index.did_you_mean(query)):
        warn(f"did you mean: {meant}")
    if unknown := unknown_fields(query):
        warn(f"{' and '.join(unknown)}: no such field, searched for as a word. Fields are {', '.join(FIELDS)}.")
    left_out = call.swarm.index.terms_left_out
    if left_out:
        warn(f"{left_out} more words of the query were not searched for.")
    return 0


def _score(score: float | None) -> str:
    """A score for people: two decimals are more than it can tell apart."""
    if score is None:
        return ""
    return f"  {score:.2f}" if score >= 0.005 else "  <0.01"
