"""Provide `contextlib.suppress`, without the 0.2 MB of the rest of that module."""


class suppress:  # noqa: N801 - its name there
    """End the block at an exception of these types, and go on behind it."""

    def __init__(self, *types: type[BaseException]) -> None:
        self._types = types

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._types)
