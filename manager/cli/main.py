"""Run the command line: arguments in, an exit code out. The only place that catches errors."""

from __future__ import annotations

import importlib
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from manager import __version__, i18n
from manager.cli import code_bundle, plain_line
from manager.errors import BUG, OK, USAGE, ManagerError, UnknownInstance, UsageError
from manager.i18n import Text, _
from manager.typed import TYPE_CHECKING
from manager.util import moment, ownership
from manager.util.moment import Moment

if TYPE_CHECKING:
    from argparse import Namespace

HALT = "halt"
COMPLETE = "__complete"
"""Called by the shells' completion scripts, not by users."""

NAMING = frozenset({"up", "start", "restart"})
"""Commands in which `--config FILE --instance-id ID` assigns an id to the config's instance."""

SAYS_SLOW = frozenset(
    {"up", "start", "restart", "stop", "halt", "resume", "down", "upgrade", "rollback", "restore"}
)
"""Commands that change a fleet: somebody waits for them. `top` and `watch` have words of their own."""

STOPS = frozenset({"stop", HALT, "down"})

ENDS_IN_ORDER = SAYS_SLOW - {HALT} | {"close", "import"}
"""Commands that finish what they have begun when somebody ends them. A halt has a way of its own."""


def entry_point() -> None:
    """Run the `manager` script."""
    code = run(sys.argv[1:], moment.of_this_process())
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # the interpreter's clean-up costs 12 ms, and is not needed


def run(argv: Sequence[str], given_at: Moment) -> int:
    """Run the command of this process, and return its exit code.

    Characters that the terminal cannot show are escaped, so that they cause no error.
    """
    _open_standard_streams()
    ownership.set_umask()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return main(argv, given_at)


def _open_standard_streams() -> None:
    """Open closed standard streams (`>&-`) on /dev/null, so that no other file gets their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - until the process ends


def main(argv: Sequence[str], given_at: Moment | None = None) -> int:
    """Run one command. Returns its exit code; only argparse exits itself, on --help.

    `given_at`: when the user gave it; now if not given.
    """
    i18n.use(_language_asked(argv) or i18n.language_from(os.environ))
    if argv[:1] == [COMPLETE]:
        from manager.cli import completion

        print(completion.answer(argv[1:]), end="")
        return OK
    args = plain_line.read(argv)
    if args is None:
        from manager.cli import parsers

        if not argv:
            parsers.parser().print_help(sys.stderr)
            return USAGE
        args = parsers.parsed(argv)
        if args.lang:
            i18n.use(args.lang)
    return guarded(lambda: _run(args, given_at, argv))


def guarded(work: Callable[[], int]) -> int:
    """Do the work and return its exit code; print errors, which have exit codes too."""
    try:
        return work()
    except ManagerError as error:
        _complain(i18n.labelled(_("error"), error))
        return error.exit_code
    except KeyboardInterrupt as interruption:
        try:
            return _interrupted(interruption)
        except KeyboardInterrupt:  # the same one again: `timeout` sends it to the program and to its group
            return _interrupted(interruption)
    except BrokenPipeError:
        from manager.util import console

        console.discard_output(sys.stdout)  # not even the flush at exit
        return OK
    except Exception:  # noqa: BLE001 - a bug: its traceback goes to a file, and one line is printed
        return _bug()


def _interrupted(interruption: KeyboardInterrupt) -> int:
    from manager.cli import ending

    _complain(ending.text(interruption))
    return ending.exit_code(interruption)


def _language_asked(argv: Sequence[str]) -> str | None:
    """Return the `--lang` of a command line that is not parsed yet, because help and usage errors need it."""
    asked = None
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    for word, following in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        if option == "--lang" and i18n.is_known(value if equals else following):
            asked = value if equals else following
    return asked


def _run(args: Namespace, given_at: Moment | None, argv: Sequence[str]) -> int:
    from manager.fleet.session import Session

    module, _dot, function = args.function.partition(".")
    _apply_instance_id(args)
    session = Session(Path(args.project_dir) if args.project_dir else None, given_at)
    if args.command in SAYS_SLOW:
        session.on_slow, session.is_stop = _warn, args.command in STOPS
    try:
        if HALT in argv and (args.swarm or args.host is not None or args.command != HALT or args.hosts):
            from manager.cli import halt_signals  # they were taken where the word stands anywhere

            halt_signals.release()
        if args.swarm:
            from manager.cli import in_swarm

            return in_swarm.run(session, args)
        if args.host is not None or getattr(args, "hosts", False):
            from manager.cli import elsewhere

            return elsewhere.run(session, args, argv)
        command = getattr(importlib.import_module(f"manager.cli.commands.{module}"), function)
        if args.command in ENDS_IN_ORDER:
            from manager.cli import ending

            code_bundle.keep()
            return ending.in_order(session, lambda: int(command(session, args)))
        code_bundle.keep()
        return int(command(session, args))
    except UnknownInstance as error:
        from manager.cli import parsers

        if near := parsers.near_command(args.command, error.instance):
            raise UsageError(
                "there is no instance {id}; did you mean `manager {near}`?", id=error.instance, near=near
            ) from error
        raise
    finally:
        session.close()


def _apply_instance_id(args: Namespace) -> None:
    """Treat `--instance-id` as one more id, unless a config is started: then it assigns that id."""
    if args.instance_id is None:
        return
    if not (args.config and args.command in NAMING):
        args.ids, args.config = [*args.ids, args.instance_id], []


def _complain(text: str) -> None:
    from manager.util import console

    try:
        sys.stdout.flush()
    except OSError:  # a full disk: what could not be written cannot be written at the end either
        console.discard_output(sys.stdout)
    print(text, file=sys.stderr, flush=True)


def _warn(text: object) -> None:
    from manager.util import console

    console.warning(text)


def _bug() -> int:
    """Write the traceback to a file, for a bug report."""
    import traceback

    from manager.util import formatting, scratch

    name = f"botfleet-bug-{formatting.stamp(time.time())}-{os.getpid()}.log"
    path = scratch.folder() / name
    text = traceback.format_exc()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"botfleet {__version__}, python {sys.version}\n{text}")
        where = str(Text("the traceback is in {path}", path=path))
    except OSError:
        where = text
    summary = text.strip().splitlines()[-1]
    _complain(
        i18n.labelled(
            _("error"), Text("this is a bug in botfleet ({what}); {where}", what=summary, where=where)
        )
    )
    return BUG
