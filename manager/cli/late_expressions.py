"""Have regular expressions compiled beforehand, and `re` loaded only for what is asked of it besides.

Loading `re`, with `enum` which it needs, and compiling the two dozen expressions that `ps` uses took a fifth
of its time. The file of `code_bundle.py` has what the interpreter makes of each expression: like all in that
file, it is for this very Python.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]  # of which `re.compile` has its result
import marshal
import sys
from _frozen_importlib_external import SourceFileLoader
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    Expressions = tuple[dict[str, int], dict[tuple[str | bytes, int], bytes]]
    """The flags by their names; by expression and flags, the further arguments of `_sre.compile`, packed."""

FLAGS = ("ASCII", "DOTALL", "IGNORECASE", "MULTILINE", "VERBOSE")
"""What modules name when they are loaded. Any other name of `re` loads it."""

_loading = RLock()


def of_this_process() -> Expressions:
    """Return all expressions that its modules have. Raises AttributeError, ImportError in another Python."""
    import re
    from re import _compiler  # type: ignore[attr-defined]

    if late_pattern := sys.modules.get("manager.util.late_pattern"):
        late_pattern.compile_all()
    compiled = {}
    recorder, real = _Recorder(), _compiler._sre
    _compiler._sre = recorder
    try:
        for _kind, pattern, flags in [*re._cache]:  # type: ignore[attr-defined]
            _compiler.compile(pattern, flags)
            compiled[pattern, int(flags)] = marshal.dumps(recorder.arguments)
    finally:
        _compiler._sre = real
    return {name: int(getattr(re, name)) for name in FLAGS}, compiled


class _Recorder:
    """Be `_sre`, and keep what it has to compile."""

    arguments: tuple[Any, ...] = ()

    def compile(self, pattern: str | bytes, flags: int, code: list[int], *more: Any) -> Any:
        self.arguments = (int(flags), [*map(int, code)], *more)  # the parser's integers have names
        return _sre.compile(pattern, flags, code, *more)

    def __getattr__(self, name: str) -> Any:
        return getattr(_sre, name)


class LateLoader(SourceFileLoader):
    """Load `re` late."""

    def __init__(self, path: str, code: CodeType, expressions: Expressions) -> None:
        super().__init__("re", path)
        self._code = code
        self._flags, self._compiled = expressions

    def get_code(self, _name: str) -> CodeType:
        return self._code

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._module = _Late(spec.name)
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self._flags, compile=self._compile, _load=super().exec_module)

    def _compile(self, pattern: Any, flags: Any = 0) -> Any:
        """Be `re.compile`, also later, for a module that has taken it by its name."""
        if type(self._module) is _Late and type(pattern) in (str, bytes):
            try:
                return _sre.compile(pattern, *marshal.loads(self._compiled[pattern, flags]))
            except Exception:  # noqa: BLE001 - another one, or damaged
                pass
        _load(self._module)
        return self._module.compile(pattern, flags)


class _Late(type(sys)):  # type: ignore[misc]  # the type of modules, without loading `types`
    """Be a module that is loaded when it is asked for a name that it does not have."""

    def __getattribute__(self, name: str) -> Any:
        """Return what it has. Another thread waits while it is loaded: it has half of its names by then."""
        with _loading:
            return type(sys).__getattribute__(self, name)  # it may be no `_Late` any more

    def __getattr__(self, name: str) -> Any:
        _load(self, name)
        return getattr(self, name)


def _load(module: ModuleType, name: str = "compile") -> None:
    """Make the module what it would be. Raises AttributeError if it is being made now, in this thread."""
    with _loading:
        if type(module) is not _Late:
            return  # another thread was first
        names = module.__dict__
        kept = names.copy()
        load = names.pop("_load", None)
        if load is None:
            raise AttributeError(name)
        try:
            load(module)
        except BaseException:  # Ctrl-C: what ends the command needs it too, and not the half of it
            names.clear()
            names.update(kept)
            raise
        module.__class__ = type(sys)  # type: ignore[assignment]
