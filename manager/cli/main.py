"""The command line: arguments in, an exit code out. The only place that catches errors."""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from manager import __version__, i18n
from manager.cli import parsers
from manager.cli.command_table import COMMANDS
from manager.errors import BUG, OK, USAGE, ManagerError
from manager.i18n import Text, _

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

OBJECTS_BEFORE_COLLECTION = 50_000
"""Modules that are being loaded are no garbage: to look through them again and again costs each command 4 ms."""

COMPLETE = "__complete"
"""What a shell's completion script calls; no command of a person's."""

NAMING = frozenset({"up", "start", "restart"})
"""With these `--config FILE --instance-id ID` names the config's instance."""


def entry_point() -> None:
    """The `manager` script. What the terminal's encoding cannot show is escaped: it must not end a command."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # what an interpreter tidies up at its end costs 12 ms, and nobody needs it


def _open_standard_streams() -> None:
    """Those that a caller has closed (`>&-`) lead nowhere: a command must not end for that, nor a file get their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - until the process ends


def main(argv: Sequence[str]) -> int:
    """Runs one command. Returns its exit code; only argparse's own exit on --help is an exception."""
    i18n.use(_language_asked(argv) or i18n.language_from(os.environ))
    if argv[:1] == [COMPLETE]:
        from manager.cli import completion

        print(completion.answer(argv[1:]), end="")
        return OK
    if not argv:
        parsers.parser().print_help(sys.stderr)
        return USAGE
    words = parsers.words(list(argv))
    args = parsers.parser(_command_asked(words)).parse_args(words)
    if args.lang:
        i18n.use(args.lang)
    return guarded(lambda: _run(args))


def guarded(work: Callable[[], int]) -> int:
    """Do the work and return its exit code; what it raises is said, and has an exit code too."""
    try:
        return work()
    except ManagerError as error:
        _complain(f"{_('error')}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _complain(_("interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        from manager.util import console

        console.discard_output(sys.stdout)  # not even the flush at exit
        return OK
    except Exception:  # noqa: BLE001 - a bug: its traceback goes to a file, not into a trader's face
        return _bug()


def _language_asked(argv: Sequence[str]) -> str | None:
    """The `--lang` of a command line that is not parsed yet: its help and its errors are to speak that language too."""
    asked = None
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    for word, following in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        if option == "--lang" and i18n.is_known(value if equals else following):
            asked = value if equals else following
    return asked


def _command_asked(words: Sequence[str]) -> str | None:
    """The command, where it stands before every option that could have a value: then no other's parser is needed."""
    return words[0] if words and words[0] in COMMANDS else None


def _run(args: argparse.Namespace) -> int:
    from manager.fleet.session import Session

    module, _dot, function = COMMANDS[args.command].function.partition(".")
    _apply_instance_id(args)
    session = Session(Path(args.project_dir) if args.project_dir else None)
    try:
        return int(
            getattr(importlib.import_module(f"manager.cli.commands.{module}"), function)(session, args)
        )
    finally:
        session.close()


def _apply_instance_id(args: argparse.Namespace) -> None:
    """`--instance-id` is one more id, but when a config is started: then it names that config's instance."""
    if args.instance_id is None:
        return
    if not (args.config and args.command in NAMING):
        args.ids, args.config = [*args.ids, args.instance_id], []


def _complain(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def _bug() -> int:
    """Writes the traceback where a bug report finds it."""
    import tempfile
    import traceback

    name = f"botfleet-bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    path = Path(tempfile.gettempdir()) / name
    text = traceback.format_exc()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"botfleet {__version__}, python {sys.version}\n{text}")
        where = str(Text("the traceback is in {path}", path=path))
    except OSError:
        where = text
    what = text.strip().splitlines()[-1]
    _complain(f"{_('error')}: {Text('this is a bug in botfleet ({what}); {where}', what=what, where=where)}")
    return BUG
