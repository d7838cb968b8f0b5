"""Define the screens over the table: a question, the keys, messages of commands, an instance's log.

All of them are modal: while they are shown, no key reaches the table and stops something.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text as RichText
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Log, Static

from manager.i18n import Text, _, mark
from manager.util.sanitize import replace_unprintable

BACK = [Binding("q,escape", "dismiss", show=False)]

LINES_BEFORE = 500
"""Lines of a log that is opened: enough to see what led to a problem."""

MOST_LINES = 10_000
LONGEST_LINE = 2000
CHUNK = 1 << 16
PAUSE_S = 0.1
"""Delay between two reads: a bot that prints continuously must not block the view."""

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

KEYS = (
    ("s", mark("start the instance")),
    ("x", mark("stop it; it stays stopped. Asks first if it trades live")),
    ("r", mark("restart it with its current config. Asks first if it trades live")),
    ("l", mark("follow its log")),
    ("o", mark("open its web page")),
    (
        "/",
        mark("filter: words that a row must contain, such as `live failed`. Enter keeps it, Esc clears it"),
    ),
    ("< >", mark("sort by the column to the left, to the right")),
    ("R", mark("sort the other way round")),
    ("c", mark("switch the bars between CPU and P&L")),
    ("m", mark("the commands' messages")),
    ("↑ ↓", mark("move the cursor; meanwhile the rows keep their order")),
    ("?", mark("this help")),
    ("q", mark("quit; running commands are waited for")),
)

MEANINGS = (
    mark(
        "CPU is percent of one core. Memory is without file pages that the kernel can drop, as in `docker"
        " stats`."
    ),
    mark("P&L and position are what the bot reports, read every 10 s; empty if it reports none."),
    mark(
        "Red rows with ! need attention. P&L is summed separately for paper and live, and for each currency."
    ),
)


def printable(line: str) -> str:
    """Return a bot's line without anything that could move a terminal's cursor or change its colours."""
    text = SEQUENCE.sub("", line[: 2 * LONGEST_LINE]).expandtabs()[:LONGEST_LINE]
    return replace_unprintable(text, "�")


class Question(ModalScreen[bool]):
    """Ask for confirmation: only `y` confirms."""

    BINDINGS: ClassVar = [
        Binding("y,Y", "answer(True)", show=False),
        Binding("n,N,escape,q,enter", "answer(False)", show=False),
    ]

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__()
        self._text = "\n\n".join([*sentences, _("y: yes    n: no")])

    def compose(self) -> ComposeResult:
        yield Static(self._text, id="question", markup=False)

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Help(ModalScreen[None]):
    """Show the keys, and what the figures mean."""

    BINDINGS: ClassVar = [Binding("q,escape,question_mark,enter,space", "dismiss", show=False)]

    def compose(self) -> ComposeResult:
        keys = Table.grid(padding=(0, 2))
        for key, text in KEYS:
            keys.add_row(RichText(key), RichText(_(text)))
        with VerticalScroll(id="help"):
            yield Static(keys)
            yield Static("\n" + "\n".join(_(meaning) for meaning in MEANINGS), markup=False)


class Messages(ModalScreen[None]):
    """Show all messages of this session's commands."""

    BINDINGS: ClassVar = [*BACK, Binding("m", "dismiss", show=False)]

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        self._lines = list(lines)

    def compose(self) -> ComposeResult:
        yield Static(_("Messages of the commands. q: back"), classes="title", markup=False)
        log = Log()
        yield log
        log.write_lines(printable(line) for line in self._lines or [_("nothing yet")])


class InstanceLog(ModalScreen[None]):
    """Show a bot's last lines and new ones, with `manager logs -f ID`, which follows it through restarts."""

    BINDINGS: ClassVar = [*BACK, Binding("l", "dismiss", show=False)]

    def __init__(self, instance: str, command: Sequence[str]) -> None:
        super().__init__()
        self._instance = instance
        self._command = [*command, "logs", "--follow", "--tail", str(LINES_BEFORE), instance]

    def compose(self) -> ComposeResult:
        yield Static(str(Text("Log of {id}. q: back", id=self._instance)), classes="title", markup=False)
        yield Log(max_lines=MOST_LINES)

    def on_mount(self) -> None:
        self.run_worker(self._follow())  # ends with the screen

    async def _follow(self) -> None:
        log = self.query_one(Log)
        reader = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            assert reader.stdout is not None
            rest = b""
            while chunk := await reader.stdout.read(CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                log.write_lines(printable(line.decode(errors="replace")) for line in lines)
                rest = rest[-CHUNK:]
                await asyncio.sleep(PAUSE_S)
            log.write_line(str(Text("the log has ended (exit code {code})", code=await reader.wait())))
        finally:
            if reader.returncode is None:
                reader.terminate()
                await reader.wait()
