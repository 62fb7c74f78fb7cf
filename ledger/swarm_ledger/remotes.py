"""The remotes of the user's repository, and git run against one of them on the ledger's behalf.

The ledger is a repository of its own, but it goes where the user's repository goes: by the same URL, credentials and
proxies. A name or URL that an agent gives is data: never an option, and no transport that runs a command.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from hashlib import sha256

from .errors import BadInput, NotFound, Unreachable
from .git import environment, git
from .ids import quoted

__all__ = ["Outcome", "Remote", "find_remote", "run"]

_PROTOCOLS = "file:git:http:https:ssh"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*")
_HELPER = re.compile(r"[A-Za-z0-9_+.-]+::")
_SCP_LIKE = re.compile(r"[^/\s]+:(?!//)")
_PASSED_ON = re.compile(
    r"(?:credential|http|https|url|ssh|protocol)\.|core\.(?:sshcommand|askpass|gitproxy)$", re.IGNORECASE
)
"""Settings of the user's repository that say how to reach a remote."""

_KEPT = (
    *("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_PROXY_COMMAND", "GIT_HTTP_PROXY_AUTHMETHOD"),
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY"),
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
)
"""The same of the environment."""

_IMPATIENT = (("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", "60"))
_FORCED = (
    ("core.hooksPath", os.devnull),
    ("fetch.fsckObjects", "true"),
    ("fetch.unpackLimit", "1"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("push.followTags", "false"),
    ("push.gpgSign", "false"),
    ("push.recurseSubmodules", "no"),
)
_TIMEOUT_S = 900
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=20"
"""Nobody sits there to be asked for a passphrase."""


@dataclass(frozen=True)
class Remote:
    """Where the ledger is exchanged. `name` is that of the remote, or made from its URL."""

    name: str
    url: str
    push_url: str
    settings: tuple[tuple[str, str], ...] = ()
    """Of the user's repository, as (key, value): how to reach it."""

    @property
    def tracking(self) -> str:
        """The ref that keeps the tip which was last seen there."""
        return f"refs/remotes/{self.name}/swarm-ledger"

    @property
    def shown(self) -> str:
        """The remote as it may be printed: without a password."""
        return _plain(self.url) if self.name.startswith("url-") else f"{self.name} ({_plain(self.url)})"

    @property
    def push_target(self) -> str:
        """Where pushes go, as it may be printed."""
        return _plain(self.push_url)


@dataclass(frozen=True)
class Outcome:
    """How a run of git ended."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """The line that says what went wrong."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("fatal:", "error:", "ssh:", "ERROR:"))]
        found = (telling or lines or [f"exit {self.code}"])[0]
        return _plain(found.strip())


def find_remote(git_dir: str | None, given: str | None, cwd: str) -> Remote:
    """The remote `given` by name, URL or path; without one, origin, or the only one that there is.

    `git_dir` is the common directory of the user's repository. Raises BadInput for what may not be used, and NotFound.
    """
    settings = _settings(git_dir) if git_dir else []
    names = list(dict.fromkeys(key[7:-4] for key, _ in settings if key.startswith("remote.") and key.endswith(".url")))
    if given is None:
        if "origin" not in names and len(names) != 1:
            listed = f"name one of {', '.join(names)}" if names else "add one with `git remote add origin URL`"
            raise NotFound(f"there is no remote `origin`; {listed}, or give a URL: `swarm sync URL`.")
        given = "origin" if "origin" in names else names[0]
    passed_on = tuple((key, value) for key, value in settings if _PASSED_ON.match(key))
    if given not in names:
        known = f"remotes: {', '.join(names)}" if names else "there are no remotes"
        if not _looks_like_place(given, cwd):
            raise NotFound(f"{quoted(given)} is neither a remote, nor a URL, nor a directory ({known}).")
        url = _checked(given, cwd)
        return Remote(f"url-{sha256(url.encode()).hexdigest()[:12]}", url, url, passed_on)
    if not _NAME.fullmatch(given) or ".." in given or given.endswith((".", ".lock")):
        raise BadInput(f"{quoted(given)} cannot be used as the name of a remote; `git remote rename` it.")
    urls = [value for key, value in settings if key == f"remote.{given}.url"]
    push_urls = [value for key, value in settings if key == f"remote.{given}.pushurl"]
    base = os.path.dirname(git_dir or "") if os.path.basename(git_dir or "") == ".git" else git_dir or cwd
    return Remote(given, _checked(urls[0], base), _checked((push_urls or urls)[0], base), passed_on)


def run(ledger: str, remote: Remote, *arguments: str) -> Outcome:
    """Run git on the ledger with what it takes to reach `remote`. Raises Unreachable after 15 minutes."""
    command = ["git", f"--git-dir={ledger}", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment((*_IMPATIENT, *remote.settings, *_FORCED)),
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise NotFound("git is not installed or not on PATH; install git 2.34 or later.") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(
            f"{remote.shown} did not answer within {_TIMEOUT_S // 60} minutes; nothing is lost. Sync again later."
        ) from None
    return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _environment(settings: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The caller's environment, with the settings by which they reach remotes; values may be secrets, so not argv."""
    out = environment()
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        del out[name]
    out.update({name: os.environ[name] for name in _KEPT if name in os.environ})
    out["GIT_ALLOW_PROTOCOL"] = _PROTOCOLS
    out["GIT_CONFIG_COUNT"] = str(len(settings))
    for n, (key, value) in enumerate(settings):
        out[f"GIT_CONFIG_KEY_{n}"], out[f"GIT_CONFIG_VALUE_{n}"] = key, value
    if not any(name in out for name in ("GIT_SSH", "GIT_SSH_COMMAND")) and not any(
        key.lower() == "core.sshcommand" for key, _ in settings
    ):
        out["GIT_SSH_COMMAND"] = _SSH
    return out


def _settings(git_dir: str) -> list[tuple[str, str]]:
    """The settings of the user's repository itself, in order."""
    listed = git(git_dir, "config", "--local", "--includes", "--list", "-z").decode(errors="surrogateescape")
    pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return [(key, value) for key, _, value in pairs]


def _plain(text: str) -> str:
    """`text` without the names and passwords of its URLs."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def _looks_like_place(text: str, cwd: str) -> bool:
    return "/" in text or ":" in text or os.path.isdir(os.path.join(cwd, text))


def _checked(url: str, base: str) -> str:
    """`url` as git may be given it; a path is made absolute, from `base`. Raises BadInput."""
    if not url or url.startswith("-") or not url.isprintable():
        raise BadInput(f"{quoted(url)} is no place to sync with; give a remote's name, a URL or a path.")
    scheme, separator, _ = url.partition("://")
    if _HELPER.match(url) or (separator and scheme not in (*_PROTOCOLS.split(":"), "git+ssh", "ssh+git")):
        raise BadInput(f"{quoted(url)} is of a kind that is not used to sync; use ssh, https, git, file or a path.")
    if separator or _SCP_LIKE.match(url):
        return url
    return os.path.abspath(os.path.join(base, url))
