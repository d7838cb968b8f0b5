"""Print what machines have answered to a command, as it comes (`--hosts`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from manager.config.fleet import Fleet
from manager.errors import FAILED, USAGE, ManagerError, worst_exit_code
from manager.fleet import display
from manager.i18n import Text, _, mark
from manager.ops.hosts import everywhere, last_seen, registry, ssh
from manager.ops.hosts.everywhere import Answer, Row
from manager.util import console, formatting
from manager.util.sanitize import replace_unprintable
from manager.util.text_table import Column

NO_ANSWER_YET = mark(
    "no answer yet: {hosts}; what had begun there may go on: look with `manager ps --hosts`",
)


def print_as_they_come(
    names: set[str],
    answers: Iterable[Answer],
    *,
    as_json: bool,
    fleet: Fleet | None,
    is_halt: bool = False,
    ids: Sequence[str] = (),
    has_rows: bool = False,
) -> int:
    """Print what these machines say; when somebody interrupts, which of `names` have said nothing.

    `fleet`: the fleet here, which remembers what ran on a machine that says nothing. `is_halt`: where nothing
    can be printed, as on a full disk, the others are waited for all the same, and their errors are said.
    `ids`: which instances alone the halt is for.
    `has_rows`: each instance has a row; those of a machine that says nothing are shown as last seen.
    """
    unsaid: list[ManagerError] = []

    def say(show: Callable[[], object]) -> None:
        if unsaid:
            return
        try:
            show()
        except ManagerError as error:
            if not is_halt:
                raise
            unsaid.append(error)

    try:
        taken = _taken_from(names, answers)
        halted = ids if is_halt else None
        code = _print_answers(taken, say, fleet, as_json=as_json, halted=halted, has_rows=has_rows)
    except KeyboardInterrupt:
        if names:
            console.warning(Text(NO_ANSWER_YET, hosts=", ".join(sorted(names))))
        raise
    for error in unsaid:
        console.error(error)
    return worst_exit_code([code, *(error.exit_code for error in unsaid)])


def _taken_from(waiting: set[str], answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield the answers, and leave in `waiting` the machines whose answer was not printed."""
    for answer in answers:
        yield answer
        waiting.discard(answer.host)


def _print_answers(
    answers: Iterable[Answer],
    say: Callable[[Callable[[], object]], None],
    fleet: Fleet | None,
    *,
    as_json: bool,
    halted: Sequence[str] | None,
    has_rows: bool,
) -> int:
    """Print what each machine said under its name, as it comes; one that said nothing is an error."""
    codes, objects = [], []
    for answer in answers:
        codes.append(FAILED if answer.completed is None else answer.completed.code)
        is_away = answer.completed is None and answer.host != registry.HERE
        seen = everywhere.rows(fleet, [answer], time.time()) if fleet and has_rows and is_away else []
        if as_json:
            objects += [_as_object(row, answer) for row in seen] or everywhere.objects_or_error(answer)
        elif seen:
            say(partial(_print_seen, answer.host, seen))
        else:
            say(partial(_print_lines, answer))
        if answer.completed is not None and answer.completed.code in ssh.NOT_RUN:
            console.error(everywhere.tells_nothing(answer))
        else:
            say_errors(answer)
        if fleet and halted is not None and not answer.has_run and answer.host != registry.HERE:
            _say_not_halted(fleet, answer, halted)
    if as_json:
        say(partial(console.say_json, objects))
    return worst_exit_code(codes)


def _say_not_halted(fleet: Fleet, answer: Answer, ids: Sequence[str]) -> None:
    """Print what may trade on there. A manager that has none of the instances refuses the line."""
    is_refused = answer.completed is not None and answer.completed.code == USAGE
    if text := last_seen.not_halted(fleet, answer.host, answer.url, ids if is_refused else ()):
        console.error(text)


def _as_object(row: Row, answer: Answer) -> dict[str, object]:
    """Return an instance of a machine that says nothing. Of one that was never seen, no id is known."""
    known = {key: row.values.get(key) for key in ("mode", "exchange", "symbol", "strategy")}
    return {
        "id": None if row.values.get("id") == everywhere.UNKNOWN_ID else row.values.get("id"),
        **known,
        **{key: row.values.get(key) for key in ("state", "last_state", "severity")},
        "seen_ago_s": None if row.age is None else round(row.age),
        "host": answer.host,
        "error": str(answer.error),
    }


SEEN = (
    Column[Row]("id", mark("ID"), lambda row: text_of(row, "id")),
    Column[Row]("mode", mark("MODE"), lambda row: display.mode_text(text_of(row, "mode"))),
    Column[Row]("state", mark("STATE"), lambda row: state_text(row)),
    Column[Row]("symbol", mark("SYMBOL"), lambda row: text_of(row, "symbol")),
)


def _print_seen(host: str, rows: Sequence[Row]) -> None:
    console.say(f"== {host}")
    console.say(console.table(SEEN, rows))


def text_of(row: Row, key: str) -> str:
    """Return a value of a row as it can be shown."""
    value = row.values.get(key)
    return "" if value is None else replace_unprintable(str(value))


def state_text(row: Row) -> str:
    """Return the state; of a machine that does not answer, which it was last, and how long ago."""
    if row.values.get("state") != everywhere.UNREACHABLE:
        return _(text_of(row, "state"))
    if row.age is None:
        return _("unreachable")
    age = formatting.elapsed(row.age)
    if not row.values.get("last_state"):
        return str(Text("unreachable (no instances {age} ago)", age=age))
    return str(Text("unreachable ({state} {age} ago)", state=_(text_of(row, "last_state")), age=age))


def _print_lines(answer: Answer) -> None:
    if answer.completed is None:
        return
    console.say(f"== {answer.host}")
    for line in answer.completed.out.splitlines():
        console.say("\t".join(map(replace_unprintable, line.split("\t"))))  # of `--format tsv`


def say_errors(answer: Answer) -> None:
    """Print what a machine printed as errors, or why it printed nothing."""
    if answer.completed is None:
        console.error(answer.error)
        return
    for line in answer.completed.err.splitlines():
        console.warn(f"{answer.host}: {replace_unprintable(line)}")
