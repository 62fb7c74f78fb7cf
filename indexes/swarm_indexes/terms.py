"""Text as terms: what of a query is searched for, and how identifiers and unspaced scripts are split.

The index stems and folds case itself (FTS5, `porter unicode61`); here is only what that does not do. Queries are
searched for in Unicode's form NFKC, so ﬁle is file, ｗｉｄｅ is wide, and an accent is one however it was typed.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

__all__ = [
    "STOP_WORDS",
    "clean",
    "facet",
    "facet_values",
    "forms",
    "phrase",
    "pieces",
    "query_terms",
    "together",
    "words",
]

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
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u312f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
"""Of scripts without spaces between words, or with endings that belong to the word before: Thai to Hangul."""
_BEGINNING = f"[{_UNSPACED}]"
_RUN = f"[{_UNSPACED}]+|[^{_UNSPACED}]+"


class _Separators(dict[int, int]):
    """For str.translate: what is no part of a word becomes a space."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        self[code] = code if char.isalnum() or category(char) in ("Mn", "Mc") else 0x20
        return self[code]


_SEPARATORS = _Separators()


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
    if len(term) == 1 and _is_unspaced(term):
        return f'"{term}" *'  # a word of one character begins the pairs that it is in
    found = forms(term)
    return f'"{term}"' if len(found) == 1 else "(" + " OR ".join(f'"{form}"' for form in found) + ")"


def words(text: str) -> list[str]:
    """The words of `text` as the tokenizer of the index ends them: letters and digits, with the marks on them."""
    if text.isascii():
        return _TERM.findall(text)
    return [word for word in text.translate(_SEPARATORS).split() if any(map(str.isalnum, word))]


def pieces(text: str) -> list[str]:
    """The words inside what the tokenizer takes for one, and other forms of a word.

    RetryPolicy gives Retry and Policy; 東京都, of a script without spaces, gives 東京, 京都 and, so that each character
    begins a word, 都; 使用Redis gives Redis too.
    Underscores, dots and slashes need no help here: they end a token anyway.
    """
    found: list[str] = []
    if _HUMP.search(text):
        for term in _TERM.findall(text):
            if term.isascii():
                found += _humps(term)
    if not text.isascii():
        known = {*words(text)}
        for word in words(normalize("NFKC", text)):
            if word not in known:
                found.append(word)
            if not word.isascii():
                found += _runs(word, last=True)
    return found


def together(word: str) -> list[str]:
    """FTS5 phrases that an entry holds together where `word` is in a text of a script without spaces; else nothing."""
    runs = [] if word.isascii() else re.findall(_RUN, word)
    if not any(map(_is_unspaced, runs)):
        return []
    return [phrase(run) if len(run) == 1 or run.isascii() else f'"{" ".join(_pairs(run))}"' for run in runs]


def _is_unspaced(run: str) -> bool:
    return not run.isascii() and re.match(_BEGINNING, run) is not None


def _humps(term: str) -> list[str]:
    return [part for part in re.findall(_PART, term) if len(part) > 1] if _HUMP.search(term) else []


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _runs(word: str, *, last: bool) -> list[str]:
    """The pairs of characters of a script without spaces in `word`, and what stands between such; nothing if none."""
    found: list[str] = []
    runs = re.findall(_RUN, word)
    for run in runs:
        if _is_unspaced(run):
            found += _pairs(run)
            found += [run[-1]] if last or len(run) == 1 else []
        elif len(runs) > 1:
            found += [run, *(_humps(run) if run.isascii() else ())]
    return found


def query_terms(query: str, limit: int) -> tuple[list[str], int]:
    """The first `limit` distinct terms of `query`, without stop words, and how many more there were.

    A term holds letters and digits only, with marks on them, so no query can be read as an operator.
    """
    terms: dict[str, None] = {}
    for word in words(normalize("NFKC", query)):
        inside = _humps(word) if word.isascii() else _runs(word, last=False)
        # Of what has no spaces the pairs are looked for: the whole is a word by chance.
        for term in inside if inside and not word.isascii() else (word, *inside):
            folded = term.lower()
            if folded not in STOP_WORDS:
                terms[folded] = None
    kept = list(terms)
    return kept[:limit], max(0, len(kept) - limit)
