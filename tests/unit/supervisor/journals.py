"""A journal for tests."""


class RecordedJournal:
    """A journal that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str) -> None:
        self.lines.append(text)
