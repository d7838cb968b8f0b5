"""What doctor reads from the engine's words, the kernel's tables and the project's folders; and what a
report leaves out.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manager.fleet import project
from manager.fleet.env_file import STAGED_FILE
from manager.monitor.doctor import checks_project, probe_engine, probe_host, probe_project
from manager.monitor.doctor.redact import redact
from manager.util import mountinfo
from tests.builders import a_config, write_config

MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:40 / /srv rw - nfs4 server:/export rw
24 23 8:2 / /srv/fast\\040disk rw shared:1 - xfs /dev/sdb rw
26 22 8:3 / /srv/交易 rw - btrfs /dev/sdc rw
25 22 0:41 / /srvx rw - tmpfs tmpfs rw
garbage
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home", "ext4"),
        ("/srv/desk", "nfs4"),
        ("/srv/fast disk/desk", "xfs"),
        ("/srv/交易/a", "btrfs"),
        ("/srvx/a", "tmpfs"),
        ("/srv", "nfs4"),
    ],
)
def test_the_innermost_mount_counts(path: str, expected: str) -> None:
    assert probe_host.file_system(mountinfo.parsed(MOUNTS), Path(path)) == expected


def test_a_folder_that_is_not_yet_made_is_on_its_parents_disk(tmp_path: Path) -> None:
    disk = probe_host.disk(tmp_path / "a" / "b")
    assert disk is not None
    assert (disk.path, disk.size > 0) == (str(tmp_path), True)


def test_memory_of_the_machine() -> None:
    assert probe_host.memory("MemFree: 1 kB\nMemTotal:  2048 kB\n") == 2048 * 1024
    assert probe_host.memory("") == 0


def test_what_the_engine_says() -> None:
    facts = probe_engine.parse_answers(
        {"Version": "26.1.5", "ApiVersion": "1.45"},
        {
            "Driver": "overlay2",
            "LiveRestoreEnabled": True,
            "SystemTime": "2026-03-01T04:00:02.123456789Z",
            "NCPU": 2,
            "SecurityOptions": ["name=rootless"],
            "Warnings": ["WARNING: No swap limit support"],
        },
        1772337600.0,
    )
    assert facts.clock_offset == pytest.approx(2.123456)
    assert (facts.is_rootless, facts.warnings) == (True, ("No swap limit support",))


@pytest.mark.parametrize("system_time", ["", "yesterday", "2026-03-01T04:00:00"])
def test_a_clock_that_cannot_be_read_is_no_skew(system_time: str) -> None:
    offset = probe_engine.parse_answers({}, {"SystemTime": system_time}, 1772337600.0).clock_offset
    assert offset is None or abs(offset) < 86400


def test_all_packages_are_there() -> None:
    assert probe_engine.missing_packages() == ()


def test_stale_files_are_named_with_their_size_and_left(tmp_path: Path) -> None:
    write_config(tmp_path, a_config("bp_sol_01"))
    write_config(tmp_path, a_config("bp_far_01", host="tokyo"), "bp_far_01")
    data = tmp_path / "volumes"
    stale = {
        data / "database" / "bp_old_01" / "bp_old_01.db": "unconfigured",
        data / "database" / "bp_sol_01.before-restore-20260301-040000" / "a.db": "before-restore",
        data / "database" / ".restoring-bp_sol_01" / "new" / "a.db": "interrupted",
        data / "state" / "bp_old_02" / "supervisor.lock": "unconfigured",
        data / "secrets" / "bp_sol_01" / STAGED_FILE: "staged",
        data / "state" / ".fleet.json.0123456789ab.tmp": "temporary",
    }
    fine = [
        data / "database" / "bp_sol_01" / "bp_sol_01.db",
        data / "database" / "bp_far_01" / "bp_far_01.db",
        data / "state" / "bp_sol_01" / "supervisor.lock",
        data / "state" / "rollouts" / "note",
        data / "secrets" / "bp_sol_01" / "env.json",
    ]
    for path in (*stale, *fine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (1, 1))
    young = data / "state" / ".fleet.json.ba9876543210.tmp"
    young.touch()
    stale_files = probe_project.probe_files(project.read(tmp_path), None).stale
    named = {entry.path: entry.kind for entry in stale_files}
    for path, what in stale.items():
        relative = str(path.relative_to(tmp_path))
        match = next(name for name in named if relative.startswith(name))
        assert named.pop(match) == what
    assert named == {}
    assert all(entry.size >= 1000 for entry in stale_files)
    assert all(path.exists() for path in (*stale, *fine, young))


@pytest.mark.parametrize(
    ("name", "age", "expected"),
    [
        (".verify-x1", 90_000, "temporary"),
        (".verify-x1", 3600, ""),
        (".desk.work.x1", 90_000, "temporary"),
        (".other.work.x1", 90_000, ""),
        ("bp.json.before-restore-20260301-040000-2", 0, "before-restore"),
        ("bp.before-restore-20260301-040000-interrupted", 0, "before-restore"),
        ("fleet.json", 90_000, ""),
    ],
)
def test_what_is_a_leftover(name: str, age: float, expected: str) -> None:
    assert probe_project.leftover_kind(name, age, "desk") == expected


def test_what_the_bot_would_end_for_is_a_warning(tmp_path: Path) -> None:
    section = {"quantity": 1, "grid_upper_price": 2, "grid_lower_price": 1, "grid_type": "short"}
    metadata = {"exchange": "backpack", "symbol": "SOL_USDC", "strategy": "grid"}
    write_config(tmp_path, {"metadata": metadata, "strategy_config": section})
    files = probe_project.probe_files(project.read(tmp_path), None)
    warned = [finding for finding in checks_project.configs(files) if finding.level == "warn"]
    assert ["spot market can't be sold short" in str(finding.text) for finding in warned] == [True]


def test_without_sound_configs_no_folder_is_called_stale(tmp_path: Path) -> None:
    write_config(tmp_path, "{", "broken")
    (tmp_path / "volumes" / "database" / "bp_old_01").mkdir(parents=True)
    assert probe_project.probe_files(project.read(tmp_path), None).stale == ()


def test_a_report_names_no_key_no_person_and_no_machine() -> None:
    text = "key=s3cr3t-value at /home/ann/desk on box1 by ann, 10.1.2.3, 127.0.0.1, annual box12 s3c"
    redacted = redact(
        text,
        ["s3cr3t-value", "s3c", "s3cr3t"],
        {"/home/ann": "~", "/home/ann/desk": "PROJECT", "": "~"},
        {"HOST": ["box1", ""], "USER": ["ann"]},
    )
    assert redacted == "key=*** at PROJECT on HOST by USER, ADDRESS, 127.0.0.1, annual box12 s3c"


def test_lists_of_variables_that_fit_every_name_are_found(tmp_path: Path) -> None:
    write_config(tmp_path, a_config())
    for text, expected in (
        ('variables = ["*"]\nconfig_variables = ["BP2_KEY", "?*"]', ("variables", "config_variables")),
        ('variables = ["*_API_URL", "HTTP_PROXY"]\nconfig_variables = ["BP2_*"]', ()),
    ):
        (tmp_path / "config" / "fleet.toml").write_text(f'name = "desk"\n{text}\n')
        assert probe_project.probe_files(project.read(tmp_path), None).unlimited == expected
