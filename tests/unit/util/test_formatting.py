"""Sizes and moments as users read them, and that no other module formats them in a way of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from manager import i18n
from manager.i18n import Text
from manager.util import formatting
from tests.unit.syntax import parsed

ROOT = Path(__file__).resolve().parents[3]
UNITS = r"(?:[kKMGTP]B|[KMGTP]iB)\b"
AMOUNT_OF_A_UNIT = re.compile(rf"\{{[^{{}}]*\}} ?{UNITS}")
SECONDS_OR_SHARE = re.compile(r"\{[^{}]*(?:\.[1-9]f\} ?s\b|%\}|\}%(?!\w))")
"""Tenths of seconds, and percentages, but for `{percent} %`, whose digits a bot chose."""
FORMATS_OF_THEIR_OWN = {
    "manager/cli/following.py": "a moment for `logs --since` of another machine",
    "manager/monitor/history/curve.py": "the day of a datetime that is there already",
    "manager/monitor/watch/daily_report.py": "the hour in which a setting names it",
    "manager/monitor/watch/notifier.py": "the day of a datetime that is there already",
    "manager/ops/migrate/inspect.py": "a day of long ago, and what the old system wrote",
}
"""Modules that write a moment, and why `formatting` has no function for it."""


def second_ways(source: str) -> Iterator[str]:
    """Yield what a module formats itself: a size, a moment, tenths of seconds, a percentage."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from AMOUNT_OF_A_UNIT.findall(node.value)
            yield from SECONDS_OR_SHARE.findall(node.value)
        elif isinstance(node, ast.JoinedStr):
            for value, rest in zip(node.values, node.values[1:], strict=False):
                text = rest.value if isinstance(rest, ast.Constant) else ""
                if isinstance(value, ast.FormattedValue) and re.match(rf" ?{UNITS}", str(text)):
                    yield ast.unparse(node)
            yield from SECONDS_OR_SHARE.findall(ast.unparse(node))
        elif isinstance(node, ast.Attribute) and node.attr in {"strftime", "isoformat"}:
            yield f".{node.attr}"


def test_a_second_way_is_noticed() -> None:
    assert list(second_ways('Text("{free} MiB are free, {size:.1f} GB in all")')) == [
        "{free} MiB",
        "{size:.1f} GB",
    ]
    assert list(second_ways('print(f"{size / 1e6:.1f} MB")')) == ["f'{size / 1000000.0:.1f} MB'"]
    assert list(second_ways('time.strftime("%F")')) == [".strftime"]
    assert list(second_ways('print(f"{took:.1f} s")')) == ["{took:.1f} s"]
    assert list(second_ways('Text("{id}: saved ({seconds:.1f} s)")')) == ["{seconds:.1f} s"]
    assert list(second_ways('print(f"{part:.0%}", f"{cpu:.1f}%")')) == ["{part:.0%}", "{cpu:.1f}%"]
    assert not list(second_ways('f"at most 64 MB of {name} each"'))
    assert not list(second_ways('Text("no answer within {seconds} s, {percent} % of it")'))


def test_sizes_and_moments_are_formatted_in_one_module() -> None:
    modules = {str(path.relative_to(ROOT)): path for path in (ROOT / "manager").rglob("*.py")}
    ways = {
        name: here
        for name, path in modules.items()
        if name != "manager/util/formatting.py"
        and (here := list(second_ways(path.read_text(encoding="utf-8"))))
    }
    assert {name: here for name, here in ways.items() if name not in FORMATS_OF_THEIR_OWN} == {}
    assert FORMATS_OF_THEIR_OWN.keys() <= ways.keys(), "one that formats nothing any more"
    assert not [way for here in ways.values() for way in here if "{" in way], "only moments have exceptions"


def test_no_script_of_a_page_formats_sizes() -> None:
    folders = (ROOT / "manager/web/page", ROOT / "docker/bot/gridbot/web/page")
    scripts = [path for folder in folders for path in folder.glob("*.js")]
    assert len(scripts) > 20
    assert [path.name for path in scripts if re.search(UNITS, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (999.4, "999 B"),
        (999.6, "1 kB"),
        (3_400_000, "3.4 MB"),
        (999_600, "1 MB"),  # in three digits it is no 1e+03 kB
        (12_000_000_000, "12 GB"),
        (2_000_398_934_016, "2 TB"),
    ],
)
def test_sizes_of_files_and_disks(size: float, text: str) -> None:
    assert formatting.file_size(size) == text


def test_a_size_beyond_what_is_free_reads_differently() -> None:
    assert formatting.size_beyond(1_204_000_001, 1_203_000_000) == "1,204,001 kB"
    assert formatting.size_beyond(3_000_000, 1_000_000) == "3 MB"


def test_durations_and_shares() -> None:
    assert [str(formatting.duration(seconds)) for seconds in (0, 4.66, 120)] == ["0.0 s", "4.7 s", "120.0 s"]
    assert [formatting.offset(seconds) for seconds in (-0.01, 2, -3600)] == ["+0.0 s", "+2.0 s", "-3600.0 s"]
    assert [formatting.share(percent) for percent in (0, 0.25, 79, 120)] == ["0 %", "0.2 %", "79 %", "120 %"]


def test_a_memory_limit_reads_as_the_config_gives_it() -> None:
    assert formatting.mebibytes(2048 << 20) == "2048 MiB"


AGES = [-1, 0, 59, 60, 3599, 3600, 11_100, 48 * 3600 - 1, 48 * 3600, 10**6]


def test_an_age_in_a_sentence_is_that_of_a_column_and_in_the_readers_language() -> None:
    assert [str(formatting.elapsed(seconds)) for seconds in AGES] == list(map(formatting.age, AGES))
    with i18n.speaking("zh-TW"):
        assert list(map(str, map(formatting.elapsed, (14, 900, 11_100, 10**6)))) == [
            "14 秒",
            "15 分鐘",
            "3 小時 05 分",
            "11 天",
        ]
        assert str(formatting.duration(4.66)) == "4.7 秒"
        assert str(Text("{age} ago", age=formatting.elapsed(14))) == "14 秒前"
