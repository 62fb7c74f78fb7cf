"""How far long work is, on a terminal and elsewhere."""

from __future__ import annotations

import io

from swarm.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_sees_one_line_drawn_anew() -> None:
    """With a bar, the share done and a note; it is taken away at the end."""
    clock, terminal = Clock(), Terminal()
    progress = Progress(terminal, "loading", 200, clock=clock)
    progress.update(50, "7/s")
    clock.now += 0.05
    progress.update(60)
    clock.now += 0.1
    progress.update(200)
    progress.close()
    assert terminal.getvalue().split("\r\x1b[K") == [
        "",
        "loading [######..................]  25 %  7/s",
        "loading [########################] 100 %",
        "",
    ]


def test_elsewhere_a_plain_line_comes_every_five_seconds() -> None:
    """So that a log of a long run stays short."""
    clock, file = Clock(), io.StringIO()
    progress = Progress(file, "loading", 200, clock=clock)
    for done in range(0, 200, 20):
        progress.update(done)
        clock.now += 1.0
    progress.close()
    assert file.getvalue() == "loading …\nloading:  50 %\n"


def test_work_without_a_known_end_is_counted() -> None:
    """There is no bar then."""
    terminal = Terminal()
    Progress(terminal, "reading").update(1234)
    assert terminal.getvalue() == "\r\x1b[Kreading 1234"


def test_without_a_stream_nothing_is_shown() -> None:
    """And nothing fails."""
    progress = Progress(None, "loading", 10)
    progress.update(5)
    progress.close()
