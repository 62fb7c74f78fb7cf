"""Text as terms: what of a query is searched for, and how identifiers and unspaced scripts are split.

The index stems and folds case itself (FTS5, `porter unicode61`); here is only what that does not do.
"""

from __future__ import annotations

import re

__all__ = ["STOP_WORDS", "clean", "facet", "facet_values", "forms", "phrase", "pieces", "query_terms"]

STOP_WORDS = frozenset(
    """
    a about above after again against all am an and any are as at be because been before being below
    between both but by can could d did do does doing down during each few for from further had has have
    having he her here hers herself him himself his how i if in into is it its itself just ll m me might
    more most must my myself no nor not now of off on once only or other our ours ourselves out over own
    re s same shall she should so some such t than that the their theirs them themselves then there
    these they this those through to too under until up ve very was we were what when where which while
    who whom whose why will with would you your yours yourself yourselves
    """.split()  # noqa: SIM905 (a word list reads better so)
)

_FORMS = """
    become became|begin began begun|bend bent|bind bound|bite bit bitten|bleed bled|blow blew blown|break broke broken
    |breed bred|bring brought|build built|burn burnt|buy bought|catch caught|choose chose chosen|come came|deal dealt
    |dig dug|draw drew drawn|dream dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed
    |feel felt|fight fought|find found|flee fled|fly flew flown|forget forgot forgotten|forgive forgave forgiven
    |freeze froze frozen|get got gotten|give gave given|go goes went gone|grow grew grown|hang hung|hear heard
    |hide hid hidden|hold held|keep kept|know knew known|lay laid|lead led|leap leapt|learn learnt|leave left|lend lent
    |lose lost|make made|mean meant|meet met|pay paid|ride rode ridden|ring rang rung|rise rose risen|run ran|say said
    |see saw seen|seek sought|sell sold|send sent|shake shook shaken|shine shone|shoot shot|show shown
    |shrink shrank shrunk|sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|speak spoke spoken|spend spent
    |spin spun|stand stood|steal stole stolen|stick stuck|strike struck|swear swore sworn|sweep swept|swim swam swum
    |swing swung|take took taken|teach taught|tear tore torn|tell told|think thought|throw threw thrown
    |understand understood|wake woke woken|wear wore worn|weave wove woven|win won|write wrote written
    |child children|foot feet|man men|mouse mice|person people|tooth teeth|woman women
    |good better best|bad worse worst
"""
"""Words of English whose forms the stemmer does not bring together."""
_FORMS_OF = {form: tuple(line.split()) for line in _FORMS.split("|") for form in line.split()}

_TERM = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]")
# Compiled when first used: most queries hold neither.
_PART = r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+"
_UNSPACED = r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+"


def clean(text: str) -> str:
    """Text as SQLite takes it: half of a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def facet(field: str, value: str) -> str:
    """One token that stands for `field` = `value` exactly. No term of a query can be equal to it."""
    # A private-use character is a letter to the tokenizer; the closing digit keeps the stemmer off.
    return f"\ue000{field}{value.encode('utf-8', 'replace').hex()}0"


def facet_values(field: str, facets: str) -> list[str]:
    """The values of `field` among `facets`, tokens joined by spaces."""
    start = f"\ue000{field}"
    return [
        bytes.fromhex(token[len(start) : -1]).decode("utf-8", "replace")
        for token in facets.split()
        if token.startswith(start)
    ]


def forms(term: str) -> tuple[str, ...]:
    """`term` and what else of English is the same word: "went" gives go, goes, went and gone."""
    found = _FORMS_OF.get(term)
    if found is None and term.endswith("ing"):  # taking, running, making
        found = _FORMS_OF.get(term[:-3]) or _FORMS_OF.get(term[:-4]) or _FORMS_OF.get(term[:-3] + "e")
    if found is None and term.endswith("s"):
        found = _FORMS_OF.get(term[:-1])
    return found or (term,)


def phrase(term: str) -> str:
    """The FTS5 expression for an entry that holds `term`, in any of its forms."""
    found = forms(term)
    return f'"{term}"' if len(found) == 1 else "(" + " OR ".join(f'"{form}"' for form in found) + ")"


def pieces(text: str) -> list[str]:
    """The words inside what the tokenizer takes for one.

    RetryPolicy gives Retry and Policy; 東京都, of a script without spaces, gives 東京 and 京都.
    Underscores, dots and slashes need no help here: they end a token anyway.
    """
    found: list[str] = []
    if _HUMP.search(text):
        for term in _TERM.findall(text):
            if term.isascii() and _HUMP.search(term):
                found += (part for part in re.findall(_PART, term) if len(part) > 1)
    if not text.isascii():
        for run in re.findall(_UNSPACED, text):
            found += (run[i : i + 2] for i in range(max(1, len(run) - 1)))
    return found


def query_terms(query: str, limit: int) -> tuple[list[str], int]:
    """The first `limit` distinct terms of `query`, without stop words, and how many more there were.

    A term holds letters and digits only, so no query can be read as an operator.
    """
    terms: dict[str, None] = {}
    for word in _TERM.findall(query):
        for term in (word, *pieces(word)):
            folded = term.lower()
            if folded not in STOP_WORDS:
                terms[folded] = None
    kept = list(terms)
    return kept[:limit], max(0, len(kept) - limit)
