"""Match `--grep`, a regular expression that must not hang the command."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable
from types import FrameType

from manager.errors import UsageError

MAX_CHARACTERS = 1 << 14
"""The part of a line that is searched."""

TIMEOUT_S = 2.0
"""Time limit per line against catastrophic backtracking, as with `(a+)+$`."""


PUNCTUATION = re.compile(r"[^0-9A-Za-z\ufffd\ud800-\udfff]", re.ASCII)
REPETITION = re.compile(r"[*?]|\{[0-9]*(,[0-9]*)?\}")
CLASS = re.compile(r"\[\^?\]?(?:[^\\\]]|\\.)*\]", re.DOTALL)
OTHER_CASES = {"i": "\u0130\u0131", "k": "\u212a", "s": "\u017f"}
"""Letters that have one outside of ASCII, for `(?i)`."""


class Pattern:
    """Match lines against a pattern.

    The timeout works in the main thread only, the one that receives signals.
    """

    def __init__(self, expression: re.Pattern[str]) -> None:
        self._expression = expression
        self._is_timed = threading.current_thread() is threading.main_thread()
        if self._is_timed:
            signal.signal(signal.SIGALRM, self._time_out)

    def matches(self, line: bytes) -> bool:
        """Return whether the line's first 16384 characters contain the pattern.

        Raises UsageError at the timeout.
        """
        text = line[: 4 * MAX_CHARACTERS].decode("utf-8", "replace")[:MAX_CHARACTERS]
        if not self._is_timed:
            return self._expression.search(text) is not None
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
        try:
            return self._expression.search(text) is not None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @property
    def may_match(self) -> Callable[[bytes], bool] | None:
        """Return a quick test that each line passes that matches, and few others; None if there is none."""
        texts = required_texts(self._expression)
        if not texts:
            return None
        if self._expression.flags & re.IGNORECASE:
            anywhere = re.compile(b"|".join(map(_in_any_case, texts)), re.IGNORECASE)
            return lambda line: anywhere.search(line) is not None
        encoded = [text.encode() for text in texts]
        if len(encoded) == 1:
            (only,) = encoded
            return lambda line: only in line
        return lambda line: any(text in line for text in encoded)

    def _time_out(self, _number: int, _frame: FrameType | None) -> None:
        raise UsageError(
            "pattern {pattern} takes more than {seconds} s on a single line; avoid nested repetitions",
            pattern=self._expression.pattern,
            seconds=round(TIMEOUT_S),
        )


def required_texts(expression: re.Pattern[str]) -> tuple[str, ...]:
    """Return texts of which each match contains one; none if that cannot be told easily.

    Of `placed [0-9]+|filled` they are `placed ` and `filled`.
    """
    pattern = re.sub(r"\A\(\?[ims]+\)", "", expression.pattern)
    if expression.flags & ~(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.UNICODE) or "(?" in pattern:
        return ()
    runs: list[list[str]] = [[""]]  # of each alternative
    position = 0
    while position < len(pattern):
        character, text = pattern[position], ""
        position += 1
        if character == "|":
            runs.append([""])
            continue
        if character == "\\":
            text = pattern[position]
            position += 1
            if text in "dDwWsSbBAZ":
                text = ""
            elif not PUNCTUATION.fullmatch(text):
                return ()
        elif character in "([":
            position = _group_end(pattern, position - 1)
            if position < 0:
                return ()
        elif character in "*?{" and (repeated := REPETITION.match(pattern, position - 1)):
            runs[-1][-1] = runs[-1][-1][:-1]  # it may stand there no time at all
            position = repeated.end()
        elif character not in ".^$+*?":
            text = character
        if text:
            runs[-1][-1] += text
        else:
            runs[-1].append("")
    texts = tuple(max(alternative, key=len) for alternative in runs)
    is_ascii = all(text.isascii() for text in texts)
    is_plain = not any(0xD800 <= ord(sign) <= 0xDFFF or sign == "\ufffd" for text in texts for sign in text)
    return texts if all(texts) and is_plain and (is_ascii or not expression.flags & re.IGNORECASE) else ()


def _group_end(pattern: str, start: int) -> int:
    """Return the position behind a class or a group, which is not looked into; -1 if there is no end."""
    depth, position = 0, start
    while position < len(pattern):
        character = pattern[position]
        if character == "[":
            bracketed = CLASS.match(pattern, position)
            if bracketed is None:
                return -1
            position = bracketed.end()
        else:
            position += 2 if character == "\\" else 1
            depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return position
    return -1


def _in_any_case(text: str) -> bytes:
    """Return a pattern of bytes for a text of ASCII: some letters have another form of more than one byte."""
    return b"".join(
        b"(?:" + b"|".join(form.encode() for form in (sign, *OTHER_CASES[sign.lower()])) + b")"
        if sign.lower() in OTHER_CASES
        else re.escape(sign.encode())
        for sign in text
    )
