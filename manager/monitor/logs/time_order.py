"""Order the lines of several instances by time. Pure."""

from collections.abc import Iterable, Iterator

from manager.monitor.logs.lines import LogLine
from manager.typed import NamedTuple
from manager.util.time_parse import parse_engine_time


class KeyedLine(NamedTuple):
    """Hold a line with what it is ordered by: its time, and its place among its instance's lines."""

    moment: float
    instance: str
    number: int
    line: LogLine


def moment_of(line: LogLine) -> float:
    """Return the Unix time of a line: the engine's, else the one that stands in the line; 0 if unknown."""
    if not line.stamp:
        return line.moment
    try:
        time = parse_engine_time(line.stamp)
        fraction = line.stamp[19:].rstrip("Z")
        return time + (float(fraction) if fraction[:1] == "." else 0.0)
    except ValueError:
        return line.moment


def keyed(instance: str, lines: Iterable[LogLine]) -> Iterator[KeyedLine]:
    """Yield an instance's lines with their keys.

    Its own order stays, also where its times go back or are unknown.
    """
    latest = 0.0
    for number, line in enumerate(lines):
        latest = max(latest, moment_of(line))
        yield KeyedLine(latest, instance, number, line)


def ordered(lines: Iterable[tuple[str, LogLine]]) -> list[tuple[str, LogLine]]:
    """Return lines that have arrived together by their times; those of one instance stay in their order."""
    latest: dict[str, float] = {}
    timed: list[tuple[float, tuple[str, LogLine]]] = []
    for instance, line in lines:
        latest[instance] = max(latest.get(instance, 0.0), moment_of(line))
        timed.append((latest[instance], (instance, line)))
    return [entry for _moment, entry in sorted(timed, key=lambda pair: pair[0])]
