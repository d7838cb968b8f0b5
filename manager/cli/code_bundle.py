"""Import what a short command needs from one file, instead of looking for each of 150 modules.

Two thirds of what `ps` takes is importing, and half of that is looking for the file of each module, asking
for its time, and opening and reading it. The first run of a command writes the compiled code of its modules
into one file, beside the interpreter's own files of this kind, in `__pycache__`. Later runs take it from
there while each source is as it was then: by its time and its size, as for those files, and by the time at
which it was put there, which no copy with an older time has. Otherwise all is imported as ever, and the file
is written anew. It also has what those modules would compile: their regular expressions (late_expressions.py)
and the code that makes their named tuples.

It is loaded before anything else, so it needs only what every interpreter has loaded.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader, spec_from_file_location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec
    from types import CodeType
    from typing import Any

    from manager.cli.late_expressions import Expressions

    Entry = tuple[str, bool, tuple[int, int, int], CodeType | bytes]
    """The source of a module, whether it is a package, the state of the source, and its code; packed, if few
    runs need it."""

    Content = tuple[dict[str, Entry], Expressions, dict[int, object]]
    """The modules by their names, their expressions, and the code of their named tuples."""

PACKAGE = os.path.dirname(os.path.dirname(__file__))
LIBRARY = os.path.dirname(os.__file__)
"""Modules of other packages are imported as ever: what there is of them may change at any time."""

ORIGIN = (sys.version, PACKAGE, LIBRARY)
"""What a file is for: in a copy of the package it has another package's code."""

LATER = (
    *("encodings.utf_8_sig", "manager.cli.without_site"),
    *("manager.engine.bot_variables", "manager.engine.client"),
)
"""Modules that short commands import when they are at work."""
CHANGING = (
    *(f"manager.ops.execution.{name}" for name in ("execute", "outcome_notes", "prepare", "wait")),
    *("manager.engine.compose_hash", "manager.fleet.import_records", "manager.ops.checks.old_daemon_check"),
)
LATER_OF = {
    **dict.fromkeys(("up", "start", "restart"), CHANGING),
    "logs": (
        *("manager.engine.http_logs", "manager.monitor.logs.join", "manager.monitor.logs.files"),
        *("manager.cli.multiplexed_logs", "manager.fleet.project", "manager.fleet.observe"),
    ),
}
"""Further ones of single commands."""
SELDOM = (
    *("hashlib", "copyreg", "enum", "re"),
    *(f"re._{part}" for part in ("casefix", "compiler", "constants", "parser")),
)


class Bundle:
    """Find modules in the file of one command."""

    def __init__(self, command: str) -> None:
        tag, level = sys.implementation.cache_tag, sys.flags.optimize
        self._command = command
        self._folder = f"{PACKAGE}/__pycache__"
        # With the ending by which people remove all compiled code where they don't trust it.
        self._path = f"{self._folder}/{command}.bundle.{tag}-{level}.pyc"
        self._loaded_before = {*sys.modules}
        self._entries: dict[str, Entry] = {}
        self._expressions: Expressions = ({}, {})
        self._is_up_to_date = False

    def use(self) -> None:
        """Have modules imported from the file, if each is what would be imported without it."""
        content = _read(self._path)
        if content is None:
            return
        entries, expressions, named_tuples = content
        self._is_up_to_date = True
        if not _is_hidden({name.partition(".")[0] for name in entries} - {"manager"}):
            self._entries, self._expressions = entries, expressions
            sys.meta_path.insert(0, self)
            if named_tuples:
                from manager import typed

                typed.codes.update(named_tuples)

    def keep(self) -> None:
        """Write the file for later runs, unless it is up to date. Never raises."""
        if self._is_up_to_date or sys.dont_write_bytecode or sys.pycache_prefix:
            return
        if not os.access(self._folder, os.W_OK):
            return
        try:
            for name in LATER:
                __import__(name)
            usual = {*sys.modules} - self._loaded_before - {*SELDOM}
            for name in (*SELDOM, *LATER_OF.get(self._command, ())):
                __import__(name)
            from manager.cli import late_expressions

            try:
                expressions = late_expressions.of_this_process()
            except (AttributeError, ImportError):  # a Python that does it another way: without them
                expressions = {}, {}
            entries = dict(_entries_of({*sys.modules} - self._loaded_before, usual))
            named_tuples = getattr(sys.modules.get("manager.typed"), "codes", {})
            _write(self._path, entries, expressions, named_tuples)
        except (OSError, ValueError, ImportError, SyntaxError):  # a full disk, or an update under way
            return

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return how a module is imported; None for one that is not in the file, or imported once more."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return None
        path, is_package, _state, code = entry
        try:
            if isinstance(code, bytes):
                code = marshal.loads(code)
        except Exception:  # noqa: BLE001 - as a power failure may leave it: SystemError is one of many
            self._is_up_to_date = False
            return None
        folders = [path.rpartition("/")[0]] if is_package else None
        loader: SourceFileLoader = _Loader(name, path, code)
        if name == "re" and self._expressions[1]:
            from manager.cli.late_expressions import LateLoader

            loader = LateLoader(path, code, self._expressions)
        return spec_from_file_location(name, path, loader=loader, submodule_search_locations=folders)


class _Loader(SourceFileLoader):
    """Load a module as ever, but for its code, which is there."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, _name: str) -> CodeType:
        return self._code


def _read(path: str) -> Content | None:
    """Return what is in a file; None if it is another program's, or a source has changed."""
    try:
        with open(path, "rb") as file:
            if not _is_as_safe_as_source(file.fileno()):
                return None
            content = file.read()
        if not content.startswith(MAGIC_NUMBER):
            return None
        origin, *content = marshal.loads(memoryview(content)[len(MAGIC_NUMBER) :])
        if origin != ORIGIN:
            return None
        entries, expressions, named_tuples = content
        for source, _is_package, state, _code in entries.values():
            if _state(source) != state:
                return None
    except Exception:  # noqa: BLE001 - none, or a damaged one: SystemError is one of what that leads to
        return None
    return entries, expressions, named_tuples


def _is_as_safe_as_source(file: int) -> bool:
    """Return whether only those could write the file whose code runs here anyway."""
    status, source = os.fstat(file), os.stat(__file__)
    is_of_theirs = status.st_uid in (0, os.geteuid(), source.st_uid)
    return is_of_theirs and not status.st_mode & ~source.st_mode & 0o022


def _state(source: str) -> tuple[int, int, int]:
    """Return what changes with each change of a file, also where a copy keeps its size and time."""
    status = os.stat(source)
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns


def _is_hidden(names: set[str]) -> bool:
    """Return whether a folder that Python searches before its library has a file by one of these names."""
    for folder in sys.path[: sys.path.index(LIBRARY)] if LIBRARY in sys.path else sys.path:
        try:
            files = os.listdir(folder or ".")
        except OSError:
            continue
        if not names.isdisjoint(file.partition(".")[0] for file in files):
            return True
    return False


def _entries_of(names: Iterable[str], usual: Iterable[str]) -> Iterable[tuple[str, Entry]]:
    """Yield what the file keeps of these modules. Raises OSError for a source that is not there.

    `usual`: those that each run imports: unpacked one by one, they would take longer.
    """
    for name in sorted(names):
        spec = getattr(sys.modules[name], "__spec__", None)
        if spec is None or spec.name != name or not isinstance(spec.loader, SourceFileLoader):
            continue
        source: str = spec.origin
        folder = os.path.dirname(source)
        if not source.startswith(f"{PACKAGE}/") and (
            not source.startswith(f"{LIBRARY}/") or folder.startswith(f"{LIBRARY}/site-packages")
        ):
            continue
        state = _state(source)  # before the code is read: what changes meanwhile is noticed later
        is_package = spec.submodule_search_locations is not None
        if code := SourceFileLoader.get_code(spec.loader, name):
            yield name, (source, is_package, state, code if name in usual else marshal.dumps(code))


def _write(path: str, *content: Any) -> None:
    """Replace the file as a whole: another process may read it, or write it, at the same time."""
    new = f"{path}.{os.getpid()}"
    file = open(new, "xb")  # noqa: SIM115 - one of another container may have the same pid
    try:
        with file:
            os.fchmod(file.fileno(), os.stat(__file__).st_mode & 0o666)
            file.write(MAGIC_NUMBER + marshal.dumps((ORIGIN, *content)))
        os.replace(new, path)
    except OSError:
        os.unlink(new)
        raise


_bundle: Bundle | None = None
"""Of this process, if its command has one."""


def use(command: str) -> None:
    """Have the modules of this command imported from its file."""
    global _bundle
    _bundle = Bundle(command)
    _bundle.use()


def keep() -> None:
    """Write the file of this process's command, if it has none that is up to date."""
    if _bundle is not None:
        _bundle.keep()
