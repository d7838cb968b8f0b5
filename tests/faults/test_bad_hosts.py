"""One of the trader's machines is ill: a slow link, a full disk, a wrong clock. Only its rows show it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from manager.errors import FAILED, OK
from tests import forks, sshd_here
from tests.faults import bots
from tests.faults.conftest import SETTINGS, Note, new_project
from tests.faults.engines import needs_root
from tests.faults.test_disk import a_small_disk, fill
from tests.fleet import Project
from tests.libfaketime import LIBFAKETIME
from tests.slow_link import slow_link
from tests.sshd_here import Place, Sshd
from tests.two_machines import another, database, runs

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ID, THERE, QUICK = "one", "two", "three"
LEAST_S, MOST_S = 2.0, 5.0
TOO_LATE_S = (6.0, 9.0)
"""By these an answer takes more than 20 s, also over a connection that was kept."""
PATIENT_S = 240


@contextmanager
def machines(folder: Path, image: str, there: Path, place: Place) -> Iterator[tuple[Project, Project, Sshd]]:
    """This machine and the ill one, a bot on each."""
    python = forks.python(folder)
    of_other = "" if place.environ else python  # a fork has the variables, not what they do to a new process
    with (
        new_project(folder / "here", image) as here,
        another(there, image, python=of_other) as other,
        sshd_here.running(folder / "s", place) as link,
    ):
        (other.folder / "config" / "fleet.toml").write_text(f'name = "{other.name}"\n{SETTINGS}')
        here.environ.update({**link.environ, forks.PYTHON: python})
        bots.add(here, ID, 0)
        bots.add(other, THERE, 1)
        here.manager("up", "--wait")
        other.manager("up", "--wait")
        yield here, other, link


def rows(here: Project, code: int = OK, timeout: float = 120) -> dict[tuple[str, str], dict[str, Any]]:
    listed = here.manager("ps", "--hosts", "--json", code=code, timeout=timeout).json
    return {(row["host"], row["id"]): row for row in listed}


def write_hosts(here: Project, **urls: str) -> None:
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    (here.folder / "config" / "hosts.toml").write_text(lines)


def the_others_rows_are_there(here: Project) -> None:
    assert {key: row["state"] for key, row in rows(here, FAILED).items()} == {
        ("here", ID): "running",
        ("quick", QUICK): "running",
        ("slow", "?"): "unreachable",
    }
    table = here.manager("ps", "--hosts", code=FAILED)
    assert "host slow" in table.err
    assert "did not answer within 20 s" in table.err
    assert "--answer-within 60" in table.err


def who_is_patient_reads_it(here: Project, url: str) -> tuple[float, float]:
    """Return how many seconds it took to add it, and to read its rows."""
    began = time.monotonic()
    patient = here.manager(
        "host", "add", "slow", url, "--answer-within", str(PATIENT_S), code=None, timeout=6 * PATIENT_S
    )
    assert patient.code == OK, patient.out
    added = time.monotonic()
    assert rows(here, OK, 2 * PATIENT_S)["slow", THERE]["state"] == "running"
    return added - began, time.monotonic() - added


def commands_that_read_name_it(here: Project) -> None:
    old = here.manager("ps", "--hosts", code=FAILED)
    assert "unreachable (running" in old.out, "as it was last seen, and how long ago"
    stats = here.manager("stats", "--hosts", code=FAILED)
    assert "== quick" in stats.out
    assert "host slow" in stats.err
    logs = here.manager("logs", ID, THERE, QUICK, "--hosts", code=None)
    assert "host slow" in logs.err


def a_move_there_is_whole_or_is_none(here: Project, other: Project) -> None:
    moved = here.manager("move", ID, "slow", code=None, timeout=3000)
    if moved.code != OK:
        assert "host slow" in moved.err
        assert runs(here)
        assert not (other.folder / "config" / "active" / f"{ID}.json").exists()
    else:
        assert not runs(here)
        assert set(other.states()) == {ID, THERE}
    deployed = here.manager("host", "deploy", "slow", code=None, timeout=900)
    assert deployed.code == OK or "host slow" in deployed.err, deployed.err


def a_halt_reaches_it(here: Project, other: Project, quick: Project) -> None:
    halted = here.manager("halt", "--hosts", code=None, timeout=900)
    assert halted.code == OK or "host slow" in halted.err
    assert not runs(here)
    assert not runs(quick)
    assert not runs(other)


@pytest.mark.long_form
def test_a_slow_link_delays_nothing_but_its_own_rows(tmp_path: Path, fault_image: str, note: Note) -> None:
    with (
        machines(tmp_path, fault_image, tmp_path / "there", sshd_here.HERE) as (here, other, link),
        another(tmp_path / "quick", fault_image) as quick,
        slow_link(link.port, LEAST_S, MOST_S) as slow,
    ):
        (quick.folder / "config" / "fleet.toml").write_text(f'name = "{quick.name}"\n{SETTINGS}')
        bots.add(quick, QUICK, 2)
        quick.manager("up", "--wait")
        known = link.folder / "known_hosts"
        known.write_text(known.read_text() + known.read_text().replace(f":{link.port}", f":{slow.port}"))
        of_slow = link.url(other.folder).replace(f":{link.port}", f":{slow.port}")
        write_hosts(here, quick=link.url(quick.folder), slow=of_slow)
        the_others_rows_are_there(here)
        checked_s, read_s = who_is_patient_reads_it(here, of_slow)
        write_hosts(here, quick=link.url(quick.folder), slow=of_slow)
        slow.become(*TOO_LATE_S)
        commands_that_read_name_it(here)
        slow.become(LEAST_S, MOST_S)
        a_move_there_is_whole_or_is_none(here, other)
        a_halt_reaches_it(here, other, quick)
    note(
        "a link to another machine delays every packet by 2 to 5 s",
        "a proxy before sshd: ps, stats, logs, move, deploy, halt",
        1,
        "its rows are unreachable with the reason, within 20 s, and the others' are there; with"
        f" --answer-within {PATIENT_S} it was added in {checked_s:.0f} s and read in {read_s:.0f} s, and"
        " later shown as last seen; a halt tries for 300 s",
    )


@needs_root
def test_a_machine_whose_disk_is_full_shows_its_bots_and_takes_no_other(
    tmp_path: Path, fault_image: str, note: Note, is_long: bool
) -> None:
    """A deployment, whose package takes seconds to build, is in the long form; without: test_deploy_twice.py
    of tests/unit/ops.
    """
    with (
        a_small_disk(tmp_path / "disk", "size=8m,mode=755") as disk,
        machines(tmp_path, fault_image, disk / "there", sshd_here.HERE) as (here, other, link),
    ):
        write_hosts(here, full=link.url(other.folder))
        fill(disk)
        assert {key: row["state"] for key, row in rows(here).items()} == {
            ("here", ID): "running",
            ("full", THERE): "running",
        }
        refused = here.manager("move", ID, "full", code=None)
        assert refused.code != OK
        assert "disk" in refused.err or "space" in refused.err, refused.err
        assert runs(here)
        assert not database(other, ID).exists()
        if is_long:
            assert "== full" in here.manager("stats", "--hosts").out
            deployed = here.manager("host", "deploy", "full", code=None, timeout=600)
            assert deployed.code != OK
            assert "full" in deployed.err, deployed.err
        halted = here.manager("halt", "--hosts", code=None)
        assert "== full" in halted.out
        assert not runs(here)
        assert not runs(other)
    note(
        "another machine's disk is full",
        "a tmpfs without a free byte under its project folder: ps, stats, move, deploy, halt",
        1,
        "its bots are shown and halted; a move and a deployment end with the reason, and change nothing",
    )


# without SSH and an engine: tests/unit/ops/test_move_two_machines.py; the warning: test_hosts.py beside it
@pytest.mark.long_form
@pytest.mark.skipif(LIBFAKETIME is None, reason="needs the package faketime")
@pytest.mark.parametrize("offset", ["+600", "-600"])
def test_a_machine_whose_clock_is_wrong_is_named_and_moved_to_all_the_same(
    tmp_path: Path, fault_image: str, offset: str
) -> None:
    place = Place(environ=(("LD_PRELOAD", str(LIBFAKETIME)), ("FAKETIME", offset)))
    with machines(tmp_path, fault_image, tmp_path / "there", place) as (here, other, link):
        added = here.manager("host", "add", "off", link.url(other.folder))
        assert f"off: warning: clock: {offset[0]}" in added.out
        assert {key: row["state"] for key, row in rows(here).items()} == {
            ("here", ID): "running",
            ("off", THERE): "running",
        }
        assert "== off" in here.manager("stats", "--hosts").out
        bots.tell(here, ID, "write")
        here.manager("move", ID, "off")
        assert not runs(here)
        assert rows(here)["off", ID]["state"] == "running"
        here.manager("move", ID, "--from", "off")
        assert rows(here)["here", ID]["state"] == "running"
        here.manager("halt", "--hosts")
        assert not runs(here)
        assert not runs(other)
