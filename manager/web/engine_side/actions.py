"""Carry out what a person asks on the page: the manager's own command in a child process.

That command has the lock, the plan and the checks. What was asked, by whom, and what came of it is noted in
the history.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from manager.config.fleet import Fleet
from manager.fleet import event_spool
from manager.i18n import Text
from manager.monitor.top.commands import Running
from manager.typed import NamedTuple
from manager.util import drawn_table
from manager.util.sanitize import replace_unprintable
from manager.web.protocol import HALT, Refusal

KEPT = 50
MOST_AT_ONCE = 8
"""Commands of one asker that run at once: each is a process of some 50 MB, beside the bots. A halt counts
for none.
"""
RETRY_AFTER_S = 5
REFUSAL_NOTED_EVERY_S = 60.0
"""How often the same refusal to the same asker is noted: a program that tries for ever fills no history."""
MAX_LINES = 2000
POLL_S = 0.2
COMMANDS: Mapping[str, Sequence[str]] = {"snooze": ("alert", "snooze"), "unsnooze": ("alert", "snooze")}
"""Verb of the page → words of its command, where they are not the verb itself."""


class Action(NamedTuple):
    """Hold one command. `exit_code`: None while it runs; `instance`: empty for the whole fleet."""

    number: int
    command: str
    instance: str
    at: float
    lines: tuple[str, ...] = ()
    exit_code: int | None = None


class _Asked(NamedTuple):
    """Hold what a key was used for, by whom, and the number of the action that it led to."""

    words: Sequence[str]
    by: Text | str
    number: int


def words_of(verb: str, instance: str, options: Sequence[str] = ()) -> list[str]:
    """Return the words of the command behind a verb of the page. Pure."""
    command = COMMANDS.get(verb, (verb,))
    end = ["--end"] if verb == "unsnooze" else []
    return [word for word in (*command, instance, *options, *end) if word]


class Actions:
    """Run commands, and keep the last ones. `on_end` is called after each, in a thread."""

    def __init__(self, project_dir: Path | None, on_end: Callable[[], object]) -> None:
        self._project_dir, self._on_end = project_dir, on_end
        self._lock = threading.Lock()
        self.begun_at = time.time()
        # an earlier process has given lower numbers: who asks for one of its actions gets no other one's
        self._numbers = itertools.count(int(self.begun_at))
        self._actions: dict[int, Action] = {}
        self._keys: dict[str, _Asked] = {}
        self._askers: dict[int, Text | str] = {}
        self._refused_at: dict[tuple[str, ...], float] = {}

    def begin(
        self,
        verb: str,
        instance: str,
        concerned: Sequence[str],
        fleet: Fleet,
        by: Text | str,
        options: Sequence[str] = (),
        key: str = "",
    ) -> Action:
        """Start the command, and return it; one that already runs, or had that key, is returned instead.

        `concerned`: the instances in whose history it is noted. `by`: who asked. Raises OSError; Refusal:
        the key was used for something else, or too many commands of the same asker run.
        """
        words = words_of(verb, instance, options)
        with self._lock:
            if (action := self._of_key(key, words, by) or self._same(words)) is not None:
                self._keep_key(key, words, by, action)
                return action
            if verb != HALT:
                self._require_room(by)
            running = Running(self._project_dir, *words, tables=drawn_table.TSV)
            action = Action(next(self._numbers), running.title, instance, time.time())
            self._actions[action.number] = action
            if verb != HALT:
                self._askers[action.number] = by
            self._keep_key(key, words, by, action)
            for number in list(self._actions)[:-KEPT]:
                if self._actions[number].exit_code is not None:
                    del self._actions[number]
            self._keys = {
                known: asked for known, asked in self._keys.items() if asked.number in self._actions
            }
        notes = _Notes(fleet, concerned, " ".join(words_of(verb, "", options)), by)
        notes.write(is_done=True)
        threading.Thread(target=self._follow, args=(action, running, notes), daemon=True).start()
        return action

    def note_refusal(
        self, verb: str, concerned: Sequence[str], fleet: Fleet, by: Text | str, why: object
    ) -> None:
        """Note in the history of those instances that somebody asked for it, and why it was not begun."""
        now, key = time.monotonic(), (verb, *concerned, str(by))
        with self._lock:
            noted = {known: at for known, at in self._refused_at.items() if now - at < REFUSAL_NOTED_EVERY_S}
            self._refused_at = {**noted, key: noted.get(key, now)}
        if key not in noted:
            refused = Text("{who}; refused: {why}", who=by, why=why)
            _Notes(fleet, concerned, " ".join(words_of(verb, "")), refused).write(is_done=False)

    def all(self) -> list[Action]:
        """Return the last ones, the newest first."""
        with self._lock:
            return list(self._actions.values())[::-1]

    def find(self, number: int) -> Action | None:
        """Return the one with that number."""
        with self._lock:
            return self._actions.get(number)

    def knows(self, key: str) -> bool:
        """Return whether a command with that key was started."""
        with self._lock:
            return key in self._keys

    def _of_key(self, key: str, words: Sequence[str], by: Text | str) -> Action | None:
        if (asked := self._keys.get(key)) is None:
            return None
        if (asked.words, asked.by) != (words, by):  # its answer would tell of a command that was not begun
            raise Refusal(
                422,
                Text(
                    "nothing was done: this key was used for another command, or by somebody else;"
                    " use a new one"
                ),
            )
        return self._actions.get(asked.number)

    def _require_room(self, by: Text | str) -> None:
        """Raise Refusal if so many commands of this asker run that another one has to wait."""
        if sum(asker == by for asker in self._askers.values()) < MOST_AT_ONCE:
            return
        raise Refusal(
            429,
            Text(
                "nothing was done: {count} commands of yours still run; ask again when one has ended",
                count=MOST_AT_ONCE,
            ),
            RETRY_AFTER_S,
        )

    def _keep_key(self, key: str, words: Sequence[str], by: Text | str, action: Action) -> None:
        """Note what the key was used for, also where an action that already ran is the answer to it."""
        if key:
            self._keys[key] = _Asked(words, by, action.number)

    def _same(self, words: Sequence[str]) -> Action | None:
        title = " ".join(["manager", *words])
        return next(
            (
                action
                for action in self._actions.values()
                if action.command == title and action.exit_code is None
            ),
            None,
        )

    def _follow(self, action: Action, running: Running, notes: _Notes) -> None:
        """Collect what the command prints, until it has ended."""
        while True:
            code = running.exit_code
            new = tuple(map(_printable, running.new_lines()))
            action = action._replace(lines=(*action.lines, *new)[-MAX_LINES:], exit_code=code)
            if code is not None:
                notes.write(code, is_done=code == 0)
            with self._lock:
                self._actions[action.number] = action
                if code is not None:
                    self._askers.pop(action.number, None)
            if code is not None:
                self._on_end()
                return
            time.sleep(POLL_S)


def _printable(line: str) -> str:
    """Return the line without what is not printable, but the tabs between a table's cells."""
    return "\t".join(map(replace_unprintable, line.split("\t")))


class _Notes(NamedTuple):
    """Hold what is written into the history: who asked for what, and what came of it."""

    fleet: Fleet
    concerned: Sequence[str]
    verb: str
    who: Text | str

    def write(self, code: int | None = None, *, is_done: bool) -> None:
        why: object = self.who
        if code is not None:
            why = Text("{who}; {what}", who=self.who, what=Text("exit code {code}", code=code))
        events = [
            event_spool.happened("page", instance, self.verb, why, is_done=is_done)
            for instance in self.concerned
        ]
        event_spool.note(self.fleet, events)
