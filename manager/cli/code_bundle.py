"""Import what a short command needs from one file, instead of looking for each of 150 modules.

Two thirds of what `ps` takes is importing, and half of that is looking for the file of each module, asking
for its time, and opening and reading it. The first run of a command writes the compiled code of its modules
into one file, beside the interpreter's own files of this kind, in `__pycache__`. Later runs take it from
there while each source has the time and the size that it had then; otherwise all is imported as ever, and the
file is written anew.

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

    Entry = tuple[str, bool, int, int, CodeType]
    """The source of a module, whether it is a package, the source's time and size, and its code."""

PACKAGE = os.path.dirname(os.path.dirname(__file__))
LIBRARY = os.path.dirname(os.__file__)
"""Modules of other packages are imported as ever: what there is of them may change at any time."""

ORIGIN = (sys.version, PACKAGE, LIBRARY)
"""What a file is for: in a copy of the package it has another package's code."""

LATER = ("encodings.utf_8_sig", "manager.engine.bot_variables", "manager.engine.client")
"""Modules that short commands import when they are at work."""


class Bundle:
    """Find modules in the file of one command."""

    def __init__(self, command: str) -> None:
        flags, implementation = sys.flags, sys.implementation
        self._folder = f"{PACKAGE}/__pycache__"
        self._path = f"{self._folder}/{command}.{implementation.cache_tag}-{flags.optimize}.bundle"
        self._loaded_before = {*sys.modules}
        self._entries: dict[str, Entry] = {}
        self._is_up_to_date = False

    def use(self) -> None:
        """Have modules imported from the file, if each is what would be imported without it."""
        entries = _read(self._path)
        if not entries:
            return
        self._is_up_to_date = True
        if not _is_hidden({name.partition(".")[0] for name in entries} - {"manager"}):
            self._entries = entries
            sys.meta_path.insert(0, self)

    def keep(self) -> None:
        """Write the file for later runs, unless it is up to date. Never raises."""
        if self._is_up_to_date or sys.dont_write_bytecode or sys.pycache_prefix:
            return
        if not os.access(self._folder, os.W_OK):
            return
        try:
            for name in LATER:
                __import__(name)
            _write(self._path, dict(_entries_of({*sys.modules} - self._loaded_before)))
        except (OSError, ValueError, ImportError, SyntaxError):  # a full disk, or an update under way
            return

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return how a module is imported; None for one that is not in the file."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        path, is_package, _time, _size, code = entry
        folders = [path.rpartition("/")[0]] if is_package else None
        loader = _Loader(name, path, code)
        return spec_from_file_location(name, path, loader=loader, submodule_search_locations=folders)


class _Loader(SourceFileLoader):
    """Load a module as ever, but for its code, which is there."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, _name: str) -> CodeType:
        return self._code


def _read(path: str) -> dict[str, Entry] | None:
    """Return the modules in a file; None if it is another program's, or a source has changed."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        if not content.startswith(MAGIC_NUMBER):
            return None
        origin, entries = marshal.loads(memoryview(content)[len(MAGIC_NUMBER) :])
        if origin != ORIGIN:
            return None
        for source, _is_package, time, size, _code in entries.values():
            status = os.stat(source)
            if status.st_mtime_ns != time or status.st_size != size:
                return None
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return entries  # type: ignore[no-any-return]


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


def _entries_of(names: Iterable[str]) -> Iterable[tuple[str, Entry]]:
    """Yield what the file keeps of these modules. Raises OSError for a source that is not there."""
    for name in sorted(names):
        spec = getattr(sys.modules[name], "__spec__", None)
        if spec is None or spec.name != name or type(spec.loader) is not SourceFileLoader:
            continue
        source: str = spec.origin
        folder = os.path.dirname(source)
        if not source.startswith(f"{PACKAGE}/") and (
            not source.startswith(f"{LIBRARY}/") or folder.startswith(f"{LIBRARY}/site-packages")
        ):
            continue
        status = os.stat(source)  # before the code is read: what changes meanwhile is noticed later
        is_package = spec.submodule_search_locations is not None
        if code := spec.loader.get_code(name):
            yield name, (source, is_package, status.st_mtime_ns, status.st_size, code)


def _write(path: str, entries: dict[str, Entry]) -> None:
    """Replace the file as a whole: another process may read it, or write it, at the same time."""
    new = f"{path}.{os.getpid()}"
    try:
        with open(new, "wb") as file:
            os.fchmod(file.fileno(), os.stat(__file__).st_mode & 0o666)
            file.write(MAGIC_NUMBER + marshal.dumps((ORIGIN, entries)))
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
