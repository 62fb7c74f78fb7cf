"""How far long work is: one line drawn anew on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["Progress"]

_BAR = 24
_REDRAW_S = 0.1
_LINE_S = 5.0


class Progress:
    """Shows on `stream` that `label` has come to `done` of `total`. Without a stream it shows nothing.

    A total of None is work whose end is not known. Call `close` at the end, also after an exception.
    """

    def __init__(
        self,
        stream: TextIO | None,
        label: str,
        total: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._label, self._total, self._clock = stream, label, total, clock
        self._drawn = False
        self._tty = stream is not None and stream.isatty()
        self._next = clock() if self._tty else clock() + _LINE_S
        if stream is not None and not self._tty:
            self._write(f"{label} …\n")

    def update(self, done: float, note: str = "") -> None:
        """Say where it is; cheap enough to call often."""
        now = self._clock()
        if self._stream is None or now < self._next:
            return
        self._next = now + (_REDRAW_S if self._tty else _LINE_S)
        if not self._tty:
            self._write(f"{self._label}: {self._share(done)}{note and ', ' + note}\n")
            return
        text = f"{self._label} {self._bar(done)}{self._share(done)}{note and '  ' + note}"
        self._write("\r\x1b[K" + text[: _width(self._stream) - 1])
        self._drawn = True

    def close(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _share(self, done: float) -> str:
        if self._total:
            return f"{min(100, int(100 * done / self._total)):3d} %"
        return f"{done:.0f}"

    def _bar(self, done: float) -> str:
        if not self._total:
            return ""
        full = min(_BAR, int(_BAR * done / self._total))
        return "[" + "#" * full + "." * (_BAR - full) + "] "

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
