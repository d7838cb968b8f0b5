"""How findings are shown: under their heads, the many of one kind cut short, summed up."""

from __future__ import annotations

from manager.cli.commands import doctor
from manager.i18n import Text
from manager.monitor.doctor.findings import fail, ok, warn


def test_many_of_one_kind_are_cut_short() -> None:
    many = [warn("stale", Text("file {number}", number=number), Text("remove it")) for number in range(13)]
    shown = doctor._shown({"engine": [ok("engine", Text("well"))], "project": many}, has_colour=False)
    assert shown[:4] == ["engine", "  ok    well", "project", "  warn  file 0"]
    assert shown[4] == "        → remove it"
    assert shown[-2:] == ["        and 3 more like these; --json shows all", "1 ok, 13 warnings, 0 failures"]


def test_colour_is_only_where_it_is_asked_for() -> None:
    lines = {"engine": [fail("engine", Text("none"), Text("start it"))]}
    assert "\x1b[31mfail\x1b[0m" in doctor._shown(lines, has_colour=True)[1]
    assert not [line for line in doctor._shown(lines, has_colour=False) if "\x1b" in line]


def test_the_summary_counts_one_in_the_singular() -> None:
    lines = {"engine": [warn("a", Text("odd"), Text("fix it")), fail("b", Text("none"), Text("start it"))]}
    assert doctor._shown(lines, has_colour=False)[-1] == "0 ok, 1 warning, 1 failure"
