"""Which backups go: by count, by age, and never the newest good one, nor what is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.ops.backup import retention
from manager.ops.backup.archive import Trailer
from manager.ops.backup.retention import DAY_S, RetainedBackup

NOW = 100 * DAY_S


def kept(days: int, *, is_full: bool = True) -> RetainedBackup:
    return RetainedBackup(Path(f"{days}d"), NOW - days * DAY_S, is_full, 1)


@pytest.mark.parametrize(
    ("days", "keep", "keep_days", "expected"),
    [
        ((0, 1, 2, 3), 0, 0, []),
        ((0, 1, 2, 3), 2, 0, ["2d", "3d"]),
        ((0, 1, 20, 30), 0, 7, ["20d", "30d"]),
        ((0, 1, 20, 30), 3, 25, ["30d"]),
        ((50, 60), 0, 7, ["60d"]),
        ((50,), 1, 1, []),
    ],
)
def test_count_and_age(days: tuple[int, ...], keep: int, keep_days: int, expected: list[str]) -> None:
    expired = retention.select_expired([kept(day) for day in days], NOW, keep, keep_days)
    assert [str(backup.path) for backup in expired] == expected


def test_the_newest_full_one_stays_behind_partial_ones() -> None:
    backups = [kept(0, is_full=False), kept(1, is_full=False), kept(30), kept(40)]
    assert [str(backup.path) for backup in retention.select_expired(backups, NOW, 1, 7)] == ["1d", "40d"]


def test_incomplete_ones_expire_no_full_one() -> None:
    """A week in which a disk was not mounted, and then the first good night."""
    backups = [
        kept(0),
        *(kept(number, is_full=False) for number in range(1, 8)),
        *(kept(number) for number in (8, 9, 10)),
    ]
    assert [str(backup.path) for backup in retention.select_expired(backups, NOW, 3, 0)] == [
        "4d",
        "5d",
        "6d",
        "7d",
        "10d",
    ]


def test_only_our_own_are_found(tmp_path: Path) -> None:
    ours = Trailer("desk", True, "0" * 64).to_bytes()
    for name, content in {
        "backup-desk-20260301-040000.tar.gz": ours,
        "backup-desk-20260302-040000.tar.gz": b"of somebody else",
        "backup-other-20260301-040000.tar.gz": Trailer("other", True, "0" * 64).to_bytes(),
        "backup-desk-20260303-040000.tar.gz": Trailer("other", True, "0" * 64).to_bytes(),
        "backup-desk-20260301-040000.tar.gz.old": ours,
        "backup-desk-20261399-040000.tar.gz": ours,
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "backup-desk-20260304-040000.tar.gz").symlink_to("backup-desk-20260301-040000.tar.gz")
    (tmp_path / "backup-desk-20260305-040000.tar.gz").mkdir()
    assert [backup.path.name for backup in retention.list_backups(tmp_path, "desk")] == [
        "backup-desk-20260301-040000.tar.gz"
    ]
    assert retention.list_backups(tmp_path / "none", "desk") == []
