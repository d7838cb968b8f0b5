"""Which bot fills the disk: decided from sizes alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from manager.config.fleet import DiskRules
from manager.monitor.disk import growth, record
from manager.monitor.disk.growth import Excess, Free, Sample
from manager.util.formatting import GB, MB

RULES = DiskRules()
QUIET = (False, False)


def falling(per_s: int, seconds: int = 30, *, left: int = 50 * GB, total: int = 100 * GB) -> list[Free]:
    """A disk of which so much is taken each second, with `left` at the end."""
    return [
        Free(float(at), left + per_s * (seconds - at), 10**6, total, 2 * 10**6) for at in range(seconds + 1)
    ]


def sizes(*of: int, every: float = 60.0, files: Sequence[int] = ()) -> list[Sample]:
    return [Sample(1e9 + every * index, size, files[index] if files else 3) for index, size in enumerate(of)]


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ([], QUIET),
        (falling(0), QUIET),
        (falling(353 * MB), (False, False)),  # 50 GB: it lasts for 140 s
        (falling(353 * MB, left=40 * GB), (True, False)),
        (falling(353 * MB, 10, left=40 * GB), QUIET),  # a VACUUM, as far as is known
        (falling(0, left=900 * MB), (True, False)),
        (falling(0, left=900 * MB, total=8 * GB), QUIET),  # a small disk: 5 % of it
        (falling(0, left=300 * MB, total=8 * GB), (True, False)),
    ],
)
def test_when_the_disk_comes_to_its_end(free: list[Free], expected: tuple[bool, bool]) -> None:
    assert growth.is_ending(free, RULES) == expected


def test_inodes_end_too() -> None:
    free = [Free(float(at), 50 * GB, 100_000 - 2_000 * at, 100 * GB, 10**6) for at in range(31)]
    assert growth.is_ending(free, RULES) == (False, True)
    assert growth.is_ending([Free(0.0, 50 * GB, 0, 100 * GB, 0)], RULES) == QUIET, "none are counted"
    assert growth.is_ending(free, DiskRules(keep_free_inodes_percent=0)) == QUIET


def test_a_rule_that_is_off_stops_nobody() -> None:
    assert growth.is_ending(falling(0, left=0), DiskRules(keep_free_mb=0)) == QUIET


def test_the_bot_that_fills_the_disk_is_named() -> None:
    samples = {"a": sizes(5 * GB, 5 * GB), "b": sizes(0, 3 * GB), "c": sizes(GB, GB + 10 * MB)}
    free = falling(10 * MB, left=GB)
    assert growth.excesses(samples, free, RULES, ending=(True, False)) == [Excess("b", "space", 3 * GB, GB)]
    assert growth.excesses(samples, free, RULES, ending=QUIET) == []


@pytest.mark.parametrize(
    "samples",
    [
        {"a": sizes(5 * GB, 5 * GB), "b": sizes(GB, GB)},  # somebody else fills it
        {"a": sizes(0, 60 * MB)},  # little
        {"a": sizes(0, GB), "b": sizes(0, GB), "c": sizes(0, GB)},  # all alike
        {"a": sizes(3 * GB, GB)},
        {"a": sizes(GB)},  # nothing to compare with
        {"a": []},
        {},
    ],
)
def test_nobody_is_stopped_for_what_others_do(samples: dict[str, list[Sample]]) -> None:
    assert growth.excesses(samples, falling(0, left=0), RULES, ending=(True, True)) == []


def test_a_bot_that_cannot_be_counted_is_stopped_where_nobody_else_fills_the_disk() -> None:
    """It nests folders deeper than is followed, or has more files than are counted."""
    part = [sample._replace(is_whole=False) for sample in sizes(GB, GB)]
    samples = {"a": sizes(5 * GB, 5 * GB), "b": part, "c": [part[0]]}
    free = falling(0, left=GB)
    assert growth.excesses(samples, free, RULES, ending=(True, False)) == [Excess("b", "unknown", GB, GB)]
    assert growth.excesses(samples, free, RULES, ending=QUIET) == []
    samples["a"] = sizes(0, 3 * GB)
    (excess,) = growth.excesses(samples, free, RULES, ending=(True, False))
    assert excess.instance == "a", "who is seen to fill it comes first"
    once = {"b": [*sizes(GB), part[1]._replace(size=GB)]}
    assert growth.excesses(once, free, RULES, ending=(True, False)) == [], "a slow disk, once"


def test_a_slow_growth_is_seen_over_two_minutes() -> None:
    """While it is urgent, samples follow each other within seconds."""
    samples = {"a": sizes(*(GB + 3 * MB * number for number in range(40)), every=3.0)}
    (excess,) = growth.excesses(samples, falling(0, left=0), RULES, ending=(True, False))
    assert (excess.instance, excess.amount) == ("a", 3 * MB * 39)


def slowly(*, space: int = 0, inodes: int = 0, minutes: int = 60) -> list[Free]:
    """A disk without much left, that has lost so much each minute."""
    return [
        Free(60.0 * at, 800 * MB + space * (minutes - at), 10_000 + inodes * (minutes - at), 100 * GB, 10**6)
        for at in range(minutes + 1)
    ]


def steadily(size: int, files: int = 0, minutes: int = 60) -> list[Sample]:
    numbers = range(minutes + 1)
    return sizes(*(GB + size * at for at in numbers), files=[9 + files * at for at in numbers])


def test_who_fills_the_disk_slowly_is_named_too() -> None:
    """0.2 MB/s, or a file a second: little within two minutes, and the end of the disk within hours."""
    samples = {"a": steadily(12 * MB), "b": steadily(MB), "c": sizes(50 * GB, 50 * GB)}
    past = slowly(space=14 * MB)
    assert growth.excesses(samples, past[-1:], RULES, ending=(True, False), past=past) == [
        Excess("a", "space", 720 * MB, 800 * MB)
    ]
    samples = {"a": steadily(0, 60), "b": steadily(MB)}
    past = slowly(inodes=61)
    assert growth.excesses(samples, past[-1:], RULES, ending=(False, True), past=past) == [
        Excess("a", "inodes", 3600, 10_000)
    ]


@pytest.mark.parametrize(
    ("samples", "past"),
    [
        ({"a": steadily(12 * MB)}, slowly(space=30 * MB)),  # somebody else takes more
        ({"a": steadily(2 * MB)}, slowly(space=2 * MB)),  # it lasts for hours
        ({"a": steadily(12 * MB, minutes=10)}, slowly(space=12 * MB, minutes=10)),  # not followed for long
        ({"a": steadily(12 * MB), "b": steadily(12 * MB), "c": steadily(12 * MB)}, slowly(space=36 * MB)),
        ({"a": steadily(12 * MB)}, []),
        ({"a": []}, slowly(space=12 * MB)),
    ],
)
def test_nobody_is_stopped_for_a_slow_growth_that_is_no_harm(
    samples: dict[str, list[Sample]], past: list[Free]
) -> None:
    free = [Free(3600.0, 800 * MB, 10_000, 100 * GB, 10**6)]
    assert growth.excesses(samples, free, RULES, ending=(True, True), past=past) == []


def test_many_small_files_are_seen() -> None:
    samples = {"a": sizes(1, 1, files=[10, 20_000]), "b": sizes(0, GB)}
    free = [Free(0.0, 50 * GB, 10_000, 100 * GB, 10**6)]
    assert growth.excesses(samples, free, RULES, ending=(False, True)) == [
        Excess("a", "inodes", 19_990, 10_000)
    ]


def test_a_limit_of_its_own_needs_no_full_disk() -> None:
    samples = {"a": sizes(3 * GB), "b": sizes(GB, files=[900]), "c": sizes(GB)}
    rules = DiskRules(instance_mb=2000, instance_files=500)
    assert growth.excesses(samples, [], rules, ending=QUIET) == [
        Excess("a", "size", 3 * GB, 2 * GB),
        Excess("b", "files", 900, 500),
    ]


def test_what_was_counted_in_part_is_no_growth() -> None:
    part, whole = Sample(0.0, MB, 10, False), Sample(60.0, GB, 1000)
    assert growth.growth([part, whole]) is None
    assert growth.growth([part, whole, Sample(90.0, 3 * GB, 2000, False)]) == Sample(30.0, 2 * GB, 1000)


def test_a_clock_that_steps_leaves_no_samples_of_the_future() -> None:
    samples = sizes(1, 2, 3)
    assert growth.recent(samples, 1e9 + 61) == samples[:2]
    assert growth.recent(samples, 1e9 + 3700) == samples[2:]


def test_an_hour_is_kept_with_few_samples() -> None:
    samples: list[Sample] = []
    for sample in sizes(*range(61)):
        samples = record.thinned(growth.recent([*samples, sample], sample.at))
    assert len(samples) <= 16
    assert growth.growth(samples) == Sample(3600.0, 60, 0)
