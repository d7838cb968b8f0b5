"""The form of a backup: proved from its first byte to its last, and no way out of its folder."""

from __future__ import annotations

import gc
import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from manager.ops.backup import archive
from manager.ops.backup.archive import ArchiveError, Trailer, Writer
from manager.ops.backup.manifest import Manifest, is_allowed


def manifest_of(writer: Writer, *, is_complete: bool = True) -> Manifest:
    return Manifest(
        "desk",
        "2026-03-01T04:00:00",
        True,
        is_complete,
        dict(writer.files),
        {"bp_sol_01": {"config_file": "config/active/bp_sol_01.json", "faults": []}},
        None,
        [],
    )


def written(path: Path, *, is_complete: bool = True) -> Path:
    with path.open("xb") as stream:
        writer = Writer(stream.fileno())
        writer.add_bytes("config/active/bp_sol_01.json", b'{"a": 1}')
        writer.add_bytes("database/bp_sol_01/notes.txt", os.urandom(300))
        writer.close(manifest_of(writer, is_complete=is_complete))
    return path


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return written(tmp_path / "backup-desk-20260301-040000.tar.gz")


def test_what_is_written_is_read(backup: Path, tmp_path: Path) -> None:
    manifest = archive.read(backup, lambda member, _mode: tmp_path / member.replace("/", "+"))
    assert (tmp_path / "config+active+bp_sol_01.json").read_bytes() == b'{"a": 1}'
    assert manifest.database_members("bp_sol_01") == ["database/bp_sol_01/notes.txt"]
    assert (tmp_path / "database+bp_sol_01+notes.txt").stat().st_size == 300


def test_the_rest_of_one_that_is_broken_off_goes_into_no_other_file(tmp_path: Path) -> None:
    """Its descriptor's number belongs to whichever file is opened next."""
    with (tmp_path / "backup").open("xb") as stream, Writer(stream.fileno()) as writer:
        writer.add_bytes("config/active/bp_sol_01.json", b'{"a": 1}')
        number = stream.fileno()
    with (tmp_path / "bot.db").open("xb") as other:
        assert other.fileno() == number
        del writer
        gc.collect()
    assert (tmp_path / "bot.db").read_bytes() == b""


def test_any_tar_opens_it(backup: Path, tmp_path: Path) -> None:
    subprocess.run(["gzip", "-t", str(backup)], check=True)
    subprocess.run(["tar", "xzf", str(backup), "-C", str(tmp_path)], check=True)
    assert (tmp_path / "config/active/bp_sol_01.json").read_bytes() == b'{"a": 1}'


def test_the_seal_tells_without_reading_the_whole(tmp_path: Path) -> None:
    assert archive.read_trailer(written(tmp_path / "one", is_complete=False)) == Trailer(
        "desk",
        False,
        hashlib.sha256(
            (tmp_path / "one").read_bytes()[: -len(Trailer("desk", False, "0" * 64).to_bytes())]
        ).hexdigest(),
    )


def test_every_flipped_bit_is_found(backup: Path) -> None:
    good = backup.read_bytes()
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        backup.write_bytes(bad)
        with pytest.raises(ArchiveError):
            archive.read(backup)


def test_every_missing_or_added_end_is_found(backup: Path) -> None:
    good = backup.read_bytes()
    for bad in (*(good[:size] for size in range(0, len(good), 7)), good + b"\0", good + good):
        backup.write_bytes(bad)
        with pytest.raises(ArchiveError):
            archive.read(backup)


def test_what_earlier_versions_left_out_in_silence_is_told(backup: Path) -> None:
    manifest = archive.read(backup)
    assert manifest.is_complete
    assert manifest.unsaved_instances() == []
    cut = manifest._replace(left_out=[{"path": "database/bp_sol_01/a", "why": "more than 1000 files"}])
    assert cut.unsaved_instances() == ["bp_sol_01"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "config/active/../../evil.json",
        "config/active/deep/x.json",
        "config/active/x.sh",
        "database/bp_sol_01",
        "database/../secrets/x",
        "database/bp/./x",
        "database/bp//x",
        "database/.hidden/x",
        "state/bp_sol_01/supervisor.json",
        "secrets/bp_sol_01/env.json",
        ".env",
        "database/bp/x\n",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    assert not is_allowed(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../evil", tarfile.REGTYPE),
        ("database/bp/link", tarfile.SYMTYPE),
        ("database/bp/hard", tarfile.LNKTYPE),
        ("database/bp/pipe", tarfile.FIFOTYPE),
        ("database/bp/device", tarfile.CHRTYPE),
        ("database/bp/sub", tarfile.DIRTYPE),
    ],
)
def test_a_hostile_archive_with_a_right_seal_writes_nothing(name: str, kind: bytes, tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member, io.BytesIO())
    body = gzip.compress(raw.getvalue())
    path = tmp_path / "hostile"
    path.write_bytes(body + Trailer("desk", True, hashlib.sha256(body).hexdigest()).to_bytes())
    asked: list[str] = []
    with pytest.raises(ArchiveError, match="contains an unexpected member"):
        archive.read(path, lambda member, _mode: asked.append(member))
    assert asked == []


def test_content_that_the_manifest_does_not_promise_is_found(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with path.open("xb") as stream:
        writer = Writer(stream.fileno())
        writer.add_bytes("state/fleet.json", b"{}")
        promised = manifest_of(writer)
        promised.files["state/fleet.json"]["sha256"] = "0" * 64
        writer.close(promised)
    with pytest.raises(ArchiveError, match=r"state/fleet\.json does not match the manifest"):
        archive.read(path)
