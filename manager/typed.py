"""Have names of `typing` without loading it: for the modules that a short command loads.

`typing` takes a short command as long as reading its fleet's configs, and each of the sixty named tuples made
with it a sixth of a millisecond more; here each takes a tenth of that. A type checker sees the names of
`typing` itself. Who computes with annotations, as pydantic does, needs those of `typing`.
"""

from __future__ import annotations

import sys
from collections import _tuplegetter  # type: ignore[attr-defined]  # with which `namedtuple` reads its fields
from types import FunctionType, GenericAlias

__all__ = (
    "TYPE_CHECKING",
    "Any",
    "Generic",
    "Literal",
    "NamedTuple",
    "Protocol",
    "TypeVar",
    "assert_never",
    "get_args",
)

codes: dict[int, object] = {}
"""The code of what makes a named tuple, by the number of its fields: `manager.cli.code_bundle` keeps it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import (
        Any,
        Generic,
        Literal,
        NamedTuple,
        Protocol,
        TypeVar,
        assert_never,
        get_args,
    )
else:

    class Any:
        """Stand for any type."""

    class Literal:
        """Hold values in an alias, for `get_args`."""

        def __class_getitem__(cls, values):
            return GenericAlias(cls, values)

    class Generic:
        """Be the base of a generic class."""

        __slots__ = ()

        def __class_getitem__(cls, types):
            return GenericAlias(cls, types)

    class Protocol:
        """Be the base of a class that only the type checker looks at."""

    class TypeVar:
        """Name a type for the type checker."""

        def __init__(self, name, *_types, **_bounds):
            self.__name__ = name

        def __typing_subst__(self, chosen):
            return chosen

    def get_args(alias):
        """Return the values of a Literal."""
        return alias.__args__

    def assert_never(value):
        """Raise AssertionError: the type checker has shown that this is never reached."""
        raise AssertionError(f"expected code to be unreachable, but got: {value!r}")

    class _WithoutDictionary(type):
        """Make classes whose instances have no attributes but those of their class."""

        @classmethod
        def __prepare__(cls, _name, _bases):
            return {"__slots__": ()}

    class NamedTuple(tuple, metaclass=_WithoutDictionary):
        """Be the base of named tuples."""

        _fields = ()

        def __init_subclass__(cls):
            super().__init_subclass__()
            if NamedTuple not in cls.__bases__:
                return  # a subclass of a named tuple, which has the same fields
            fields = tuple(_annotations(cls))
            cls._fields = cls.__match_args__ = fields
            cls._field_defaults = {field: cls.__dict__[field] for field in fields if field in cls.__dict__}
            cls.__new__ = _constructor(cls)
            for number, field in enumerate(fields):
                setattr(cls, field, _tuplegetter(number, ""))

        def _replace(self, **changed):
            return type(self)(**self._asdict() | changed)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            values = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{type(self).__name__}({values})"

    def _constructor(cls):
        """Return a function that takes the fields by position or by name, with their defaults."""
        code = _code(len(cls._fields)).replace(co_varnames=("_cls", *cls._fields))
        constructor = FunctionType(code, NEW, "__new__", tuple(cls._field_defaults.values()))
        constructor.__qualname__ = f"{cls.__qualname__}.__new__"
        return constructor

    def _code(count):
        """Return the code of such a function, without its fields' names: compiling takes most of the time."""
        if count not in codes:
            fields = "".join(f"_{number}, " for number in range(count))
            codes[count] = eval(f"lambda _cls, {fields}: _new(_cls, ({fields}))").__code__
        return codes[count]

    NEW = {"_new": tuple.__new__}

    def _annotations(cls):
        if sys.version_info < (3, 14):
            return vars(cls).get("__annotations__", ())
        import annotationlib

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
