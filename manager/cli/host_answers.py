"""Print what machines have answered to a command, as it comes (`--hosts`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from manager.config.fleet import Fleet
from manager.errors import FAILED, ManagerError, worst_exit_code
from manager.i18n import Text, mark
from manager.ops.hosts import everywhere, last_seen, registry
from manager.ops.hosts.everywhere import Answer
from manager.util import console
from manager.util.sanitize import replace_unprintable

NO_ANSWER_YET = mark(
    "no answer yet: {hosts}; what had begun there may go on: look with `manager ps --hosts`",
)


def print_as_they_come(
    names: set[str],
    answers: Iterable[Answer],
    *,
    as_json: bool,
    is_halt: bool = False,
    fleet: Fleet | None = None,
) -> int:
    """Print what these machines say; when somebody interrupts, which of `names` have said nothing.

    `is_halt`: where nothing can be printed, as on a full disk, the others are waited for all the same, and
    their errors are said. `fleet`: the fleet here, which remembers what ran on a machine that says nothing.
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
        code = _print_answers(_taken_from(names, answers), say, as_json=as_json, fleet=fleet)
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
    *,
    as_json: bool,
    fleet: Fleet | None,
) -> int:
    """Print what each machine said under its name, as it comes; one that said nothing is an error."""
    codes, objects = [], []
    for answer in answers:
        codes.append(FAILED if answer.completed is None else answer.completed.code)
        if as_json:
            objects += everywhere.objects_or_error(answer)
        else:
            say(partial(_print_lines, answer))
        say_errors(answer)
        if fleet is not None and answer.completed is None and answer.host != registry.HERE:
            console.error(last_seen.not_halted(fleet, answer.host, answer.url))
    if as_json:
        say(partial(console.say_json, objects))
    return worst_exit_code(codes)


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
