"""One run of a verb: its options, the ledger it works on, who acts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, NoReturn, Protocol

from swarm_ledger.errors import BadInput, NotFound
from swarm_ledger.ids import agent_name

from .output import Notice, counted, warn

if TYPE_CHECKING:
    from swarm.agent import Agent
    from swarm.api import Swarm
    from swarm.progress import Progress
    from swarm.reader import Reader
    from swarm_indexes.embedder import Embedder
    from swarm_ledger.gitstore import GitStore

__all__ = ["Call", "Verb", "parse", "parser_of", "text_of"]

_STDIN_LIMIT = 64 << 20


class Verb(Protocol):
    """A module of this package: one verb."""

    EXAMPLE: str
    """Commands, one a line."""

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Say what the verb takes."""

    @staticmethod
    def run(call: Call) -> int:
        """Do it; the exit code."""


class _Parser(argparse.ArgumentParser):
    given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        hint = f"`{self.prog} --help` shows an example."
        if any(word.startswith("-") and word != "-" for word in self.given):
            hint = f"A text that begins with a dash goes behind `--` (or as --option=TEXT). {hint}"
        raise BadInput(f"{message}.\n{hint}")


class _Once(argparse.Action):
    """Stores the value of an option, and refuses a second: nobody can tell which of them was meant."""

    given = False

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if self.given and option_string:
            raise BadInput(f"{option_string} is given more than once; give the one that is meant.")
        self.given = True
        setattr(namespace, self.dest, values)


def parser_of(verb: str, module: Verb) -> argparse.ArgumentParser:
    """The parser of one verb."""
    parser = _Parser(
        prog=f"swarm {verb}",
        description=(module.__doc__ or "").strip(),
        epilog="example:\n" + "\n".join(f"  {line}" for line in module.EXAMPLE.strip().splitlines()),
        # Each argument is tried on a formatter; one without a width looks the terminal's up, with slow modules.
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=80),
        allow_abbrev=False,
    )
    parser.register("action", None, _Once)
    module.arguments(parser)
    parser.add_argument("--as", dest="acting", metavar="NAME", help="act as this agent")
    parser.add_argument("--json", action="store_true", help="print JSON: one object, or one a line for lists")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def parse(verb: str, module: Verb, words: Sequence[str], acting: str | None) -> Call:
    """The call that `words` ask for. Raises BadInput; SystemExit 0 after help was printed."""
    parser = parser_of(verb, module)
    if isinstance(parser, _Parser):
        parser.given = words
    options = parser.parse_args(words)
    for value in vars(options).values():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _is_unicode(text):
                raise BadInput(f"{text!r} is not UTF-8.")
    return Call(options, acting if options.acting is None else options.acting)


class Call:
    """The options of one run, and lazily the ledger and the agent."""

    def __init__(self, options: argparse.Namespace, acting: str | None = None) -> None:
        self.options = options
        self.json: bool = getattr(options, "json", False)
        self.acting = acting
        """Whom --as names."""
        self._swarm: Swarm | None = None
        self._progress: Progress | None = None

    @property
    def home(self) -> str | None:
        """Where the environment says that the ledger is kept. Raises BadInput for a relative path."""
        home = os.environ.get("SWARM_HOME") or None
        if home and not os.path.isabs(home):
            raise BadInput(
                f"SWARM_HOME is {home!r}, which would be another place in each directory; set it to a path from /."
            )
        return home

    @property
    def embedder(self) -> Embedder | None:
        """The model that the environment names, to rank by meaning too. Raises BadInput for a relative path."""
        directory = os.environ.get("SWARM_EMBEDDER")
        if not directory:
            return None
        if not os.path.isabs(directory):
            raise BadInput(
                f"SWARM_EMBEDDER is {directory!r}, which would be another place in each directory; "
                "set it to a model's path from /, or unset it."
            )
        from swarm_indexes.sentences import SentenceModel

        return SentenceModel(directory)

    @property
    def cwd(self) -> str:
        """The current directory. Raises NotFound where somebody deleted it."""
        try:
            return os.getcwd()
        except FileNotFoundError:
            raise NotFound("the current directory was deleted; change to one that exists.") from None

    @property
    def swarm(self) -> Swarm:
        """The ledger of the current directory. Raises NotFound."""
        if self._swarm is None:
            from swarm.api import Swarm

            self._swarm = Swarm.open(self.cwd, self.home, embedder=self.embedder)
            if sys.stderr.isatty():
                self._swarm.progress = self._indexing
            if self.name is not None:
                agent_name(self.name)
            Notice.count = cache(self._changed)  # counted once the verb has done its work
        return self._swarm

    def _indexing(self, done: int, total: int) -> None:
        if self._progress is None:
            from swarm.progress import Progress

            self._progress = Progress(sys.stderr, "indexing", total)
        self._progress.update(done, f"{done:,} of {total:,}")
        if done == total:
            self._progress.close()
            self._progress = None

    @property
    def git_store(self) -> GitStore:
        """The store of the current directory's ledger, for its upkeep; nothing else is opened."""
        from swarm_ledger.gitstore import GitStore
        from swarm_ledger.place import require_ledger

        return GitStore(require_ledger(self.cwd, self.home).home)

    @property
    def name(self) -> str | None:
        """Who the caller says they are; None leaves it to who joined."""
        return (os.environ.get("SWARM_AGENT") or None) if self.acting is None else self.acting

    @property
    def agent(self) -> Agent:
        """Who acts. Raises BadInput where nobody is named."""
        agent = self.swarm.agent(self.name)
        if agent is None:
            raise BadInput("who are you? Run `swarm join NAME` in this worktree, or give --as NAME.")
        return agent

    @property
    def reader(self) -> Reader:
        """Who reads: the agent, where there is one."""
        sessions = self.swarm.sessions
        return self.swarm.reader(sessions.joined() if self.name is None else sessions.acting_as(self.name))

    def _changed(self) -> int:
        """How many of the entries that the caller has read are not as they were; 0 for somebody who is no agent."""
        sessions = self.swarm.sessions
        return len(self.swarm.reader(sessions.joined() if self.name is None else sessions.find(self.name)).stale())

    def notice(self) -> None:
        """Say how much changed in a line of its own, unless the reply said it; and that the index was made anew."""
        if self._swarm is not None and self._swarm.rebuilt in ("foreign", "damaged"):
            warn("the search index was damaged or of another version; it has been built anew, and nothing is missing.")
        if self._swarm is not None and self._swarm.use_flaw:
            warn(self._swarm.use_flaw)
        if not Notice.said and Notice.count is not None and (number := Notice.count()):
            entries, have = counted(number, "entry"), "has" if number == 1 else "have"
            warn(f"{entries} that you read {have} changed: `swarm changes`")

    def close(self) -> None:
        """Close the ledger, if it was opened."""
        Notice.count, Notice.said = None, False
        if self._progress is not None:  # interrupted
            self._progress.close()
        if self._swarm is not None:
            self._swarm.close()


def text_of(given: str) -> str:
    """`given`, or where that is "-" what standard input holds, exactly. Raises BadInput for what is not UTF-8."""
    if given != "-":
        return given
    data = sys.stdin.buffer.read(_STDIN_LIMIT + 1)
    if len(data) > _STDIN_LIMIT:
        raise BadInput(f"standard input holds over {_STDIN_LIMIT >> 20} MiB; an entry holds at most 1 MiB.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"standard input is not UTF-8 (byte {error.start}).") from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
