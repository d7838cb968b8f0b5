"""The host's zone: a link, a copy, a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.fleet import time_zone

TAIPEI, PARIS = b"TZif2 rules of Taipei\nCST-8\n", b"TZif2 rules of Paris\nCET-1CEST,M3.5.0,M10.5.0/3\n"


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's /etc, without a zone, beside two zones."""
    monkeypatch.setenv("TZ", "Europe/Rome")
    zones = tmp_path / "zoneinfo"
    for name, rules in {"Asia/Taipei": TAIPEI, "Europe/Paris": PARIS}.items():
        (zones / name).parent.mkdir(parents=True)
        (zones / name).write_bytes(rules)
    (zones / "zone1970.tab").write_text(
        "#codes\tcoordinates\tTZ\nTW\t+2503+12130\tAsia/Taipei\nFR\t+4\tEurope/Paris\n"
    )
    for name in ("LOCALTIME", "TIMEZONE"):
        monkeypatch.setattr(time_zone, name, tmp_path / name.lower())
    monkeypatch.setattr(time_zone, "ZONES", zones)
    return tmp_path


def test_the_zone_is_the_hosts_not_the_callers(etc: Path) -> None:
    assert time_zone.time_zone() == "UTC"
    (etc / "timezone").write_text("Asia/Tokyo\n")
    assert time_zone.time_zone() == "Asia/Tokyo"
    (etc / "localtime").symlink_to(etc / "zoneinfo/Asia/Taipei")
    assert time_zone.time_zone() == time_zone.earlier_time_zone() == "Asia/Taipei"


def test_a_copy_is_recognised_by_its_content(etc: Path) -> None:
    (etc / "localtime").write_bytes(PARIS)
    assert time_zone.time_zone() == "Europe/Paris"
    (etc / "timezone").write_text("Asia/Taipei\n")  # of before the zone was changed by hand
    assert (time_zone.time_zone(), time_zone.earlier_time_zone()) == ("Europe/Paris", "Asia/Taipei")


def test_a_copy_of_rules_that_are_no_zones_any_more_goes_by_their_own_text(etc: Path) -> None:
    (etc / "localtime").write_bytes(b"TZif2 old rules\nEST5EDT,M3.2.0,M11.1.0\n")
    assert time_zone.time_zone() == "EST5EDT,M3.2.0,M11.1.0"
    (etc / "timezone").write_text("America/New_York\n")
    assert time_zone.time_zone() == "America/New_York"
    (etc / "timezone").unlink()
    (etc / "localtime").write_bytes(b"no zone at all")
    assert time_zone.time_zone() == "UTC"
