"""Have names of `typing`, at a tenth of its cost: for the modules that a short command loads.

Loading `typing` takes more than reading a fleet's configs, and its NamedTuple checks each annotation, which
the type checker has done, and compiles a constructor for each of sixty classes. Here a class gets one when
many of its instances are made. Who computes with annotations, as pydantic does, needs those of `typing`.
"""

from __future__ import annotations

import sys
from collections import _tuplegetter  # type: ignore[attr-defined]  # with which `namedtuple` reads its fields
from types import GenericAlias

__all__ = (
    "IO",
    "TYPE_CHECKING",
    "Any",
    "Generic",
    "Literal",
    "NamedTuple",
    "Protocol",
    "TextIO",
    "TypeVar",
    "assert_never",
    "cast",
    "get_args",
)

FEW = 16
"""Instances of a class for which the general way takes less than compiling."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import (
        IO,
        Any,
        Generic,
        Literal,
        NamedTuple,
        Protocol,
        TextIO,
        TypeVar,
        assert_never,
        cast,
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

        def __repr__(self):
            return f"~{self.__name__}"

    IO = TextIO = Any

    def get_args(alias):
        """Return the values of a Literal."""
        return alias.__args__

    def cast(_to, value):
        """Return the value."""
        return value

    def assert_never(value):
        """Raise AssertionError: the type checker has shown that this is never reached."""
        raise AssertionError(f"expected code to be unreachable, but got: {value!r}")

    NOT_GIVEN = object()

    def _general(cls, /, *values, **named):
        """Make an instance by its class's list of fields. After a few, the class gets its own constructor."""
        owner = next(base for base in cls.__mro__ if "_fields" in base.__dict__)
        owner._general_uses += 1
        missing, defaults = owner._fields[len(values) :], owner._field_defaults
        if owner._general_uses <= FEW and named.keys() <= set(missing):
            rest = [named.get(field, defaults.get(field, NOT_GIVEN)) for field in missing]
            if len(values) <= len(owner._fields) and all(value is not NOT_GIVEN for value in rest):
                return tuple.__new__(cls, (*values, *rest))
        owner.__new__ = staticmethod(_constructor(owner))  # which raises what Python does for wrong arguments
        return owner.__new__(cls, *values, **named)

    def _constructor(cls):
        """Compile a constructor that takes the fields by position and by name, with their defaults."""
        source = (
            f"lambda _cls, {', '.join(cls._fields)}: _new(_cls, ({''.join(f'{it}, ' for it in cls._fields)}))"
        )
        constructor = eval(source, {"_new": tuple.__new__, "__builtins__": {}, "__name__": cls.__module__})
        constructor.__name__, constructor.__qualname__ = "__new__", f"{cls.__qualname__}.__new__"
        constructor.__defaults__ = tuple(cls._field_defaults.values())
        return constructor

    class _Record(tuple):
        """Have what every named tuple has."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **named):
            made = self._make(map(named.pop, self._fields, self))
            if named:
                raise ValueError(f"Got unexpected field names: {list(named)!r}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            values = ", ".join(f"{field}={value!r}" for field, value in self._asdict().items())
            return f"{type(self).__name__}({values})"

    class _Maker(type):
        """Make such a class, whose own type is `type`."""

        def __new__(mcs, name, bases, namespace):
            fields = tuple(_annotations(namespace))
            getters = {field: _tuplegetter(number, f"Field {number}") for number, field in enumerate(fields)}
            facts = {
                "__slots__": (),
                "__new__": _general,
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": {field: namespace[field] for field in fields if field in namespace},
                "_general_uses": 0,
            }
            bases = tuple(_Record if base is _Marked else base for base in bases)
            return type.__new__(type, name, bases, {**namespace, **facts, **getters})

    def _annotations(namespace):
        """Return the annotations of a class that is being made."""
        if "__annotations__" in namespace or sys.version_info < (3, 14):
            return namespace.get("__annotations__", {})
        import annotationlib

        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        return annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)

    _Marked = type.__new__(_Maker, "_Marked", (), {})

    class _NamedTuple:
        """Be what a class statement names as its base."""

        def __mro_entries__(self, _bases):
            return (_Marked,)

    NamedTuple = _NamedTuple()
