"""Of what a config gives to its bot, the bundled one gets what it reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manager.config import bundled_reads, handover
from tests.builders import a_fleet, a_spec

BOT = Path(__file__).parents[3] / "docker" / "bot"
NAMED = re.compile(
    r"""(?:env|environ)(?:, |\S{0,5}[(\[])["']([A-Z_]+)|["']((?:GRIDBOT|BOT_WEB)_[A-Z_]+)["']"""
)
VENUE = re.compile(r'_names\("([A-Z]+)", ([^)]*)\)')
STEERING_AND_UNREAD = (
    *("LD_PRELOAD", "PATH", "HOME", "PYTHONWARNINGS", "BROWSER", "SSL_CERT_FILE", "TMPDIR", "LC_ALL"),
    *("SOME_RUNTIME_NOBODY_KNOWS_YET", "MIMALLOC_VERBOSE", "ARROW_USER_SIMD_LEVEL", "LANGUAGE", "COLUMNS"),
)


def read_by_the_bot() -> set[str]:
    """Return the variables that the bundled bot's source names."""
    names: set[str] = set()
    for path in BOT.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        names |= {name for pair in NAMED.findall(source) for name in pair if name}
        for exchange, suffixes in VENUE.findall(source):
            names |= {f"{exchange}_{suffix}" for suffix in re.findall(r'"(\w+)"', suffixes)}
    return names


def test_all_that_the_bundled_bot_reads_is_known() -> None:
    read = read_by_the_bot()
    assert {"APEX_OMNI_KEY", "GRIDBOT_STREAM", "OTHER_BOTS_POSITION", "BOT_WEB_HOSTS", "DB_PATH"} <= read
    others = {"HTTPS_PROXY", "BOTFLEET_REPORT", "BOTFLEET_REQUESTS", "BOTFLEET_OTHERS", "BOTFLEET_INSTANCE"}
    not_read = {name for name in read if not bundled_reads.is_read(name)}
    assert not_read <= {*others, *handover.MANAGERS_OWN}, "what no config gives, whatever its bot reads"


@pytest.mark.parametrize(
    "name", ["TZ", "BACKPACK_API_URL", "ASTER_WS_URL", "BASE_URL", "LIGHTER_ACCOUNT_INDEX", "BACKPACK_KEY"]
)
def test_what_it_reads_reaches_it_on_whichever_exchange(name: str) -> None:
    assert bundled_reads.unread_names([name], a_fleet()) == ()


@pytest.mark.parametrize("name", STEERING_AND_UNREAD)
def test_no_other_name_reaches_it(name: str) -> None:
    fleet = a_fleet()
    spec = a_spec(environment={"TZ": "UTC", name: "x"})
    assert dict(bundled_reads.reaching(spec, fleet).literals) == {"TZ": "UTC"}
    own = a_fleet(bot_dir="its-own")
    assert bundled_reads.reaching(spec, own) is spec


@pytest.mark.parametrize("key", ["variables", "config_variables"])
def test_what_the_fleet_names_is_given_as_before(key: str) -> None:
    fleet = a_fleet(**{key: ("MY_*",)})
    spec = a_spec(environment={"MY_LEVEL": "1", "OTHER": "2"})
    assert dict(bundled_reads.reaching(spec, fleet).literals) == {"MY_LEVEL": "1"}
