"""The form of a backup: a gzip-compressed tar that any `tar xzf` opens, whose end tells what it is and its own checksum.

`manifest.json`, the last member, has a SHA-256 of every other one. Behind the tar stands an empty gzip member with a
comment: the fleet, whether the backup is full, and the SHA-256 of all bytes before it. So one file proves itself.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from manager.errors import ManagerError
from manager.ops.backup.manifest import MANIFEST, Manifest, is_allowed
from manager.util import formatting

MAX_MANIFEST_BYTES = 64 << 20
CHUNK = 1 << 20
COMPRESSION = 1
"""Of a bot's 182 MB: gzip 1 makes 52 % at 80 MB/s, gzip 6 49 % at 27, bzip2 41 % at 17, xz 44 % at 17."""

TRAILER_HEAD = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff"
"""gzip with a comment, no time, no system."""
TRAILER_TAIL = b"\x00\x03\x00" + bytes(8)
"""The comment's end, then nothing, compressed."""
TRAILER = re.compile(r"botfleet-backup 1 fleet=([a-z0-9][a-z0-9_-]*) (full|partial) sha256=([0-9a-f]{64})")
MAX_TRAILER_BYTES = 4096

NAME = re.compile(r"backup-(?P<fleet>[a-z0-9][a-z0-9_-]*)-(?P<stamp>\d{8}-\d{6})\.tar\.gz")
STAMP = "%Y%m%d-%H%M%S"


class ArchiveError(ManagerError):
    """A file that is no sound backup."""


class Trailer(NamedTuple):
    """What the end of a backup says of it."""

    fleet: str
    is_full: bool
    sha256: str

    def encoded(self) -> bytes:
        """The very bytes that end the file."""
        word = "full" if self.is_full else "partial"
        comment = f"botfleet-backup 1 fleet={self.fleet} {word} sha256={self.sha256}"
        return TRAILER_HEAD + comment.encode("ascii") + TRAILER_TAIL


class Writer:
    """Streams members into a backup, on a descriptor that is open for writing."""

    def __init__(self, descriptor: int) -> None:
        self._raw = _Hashing(descriptor)
        self._gzip = gzip.GzipFile("", "wb", COMPRESSION, self._raw, mtime=0)
        self._tar = tarfile.TarFile(fileobj=self._gzip, mode="w", format=tarfile.PAX_FORMAT)
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, path: Path, kind: str, mode: int = 0o600) -> None:
        """A member with the content of a file of ours, which nobody else writes. Raises OSError."""
        with path.open("rb") as stream:
            self._add(name, stream, path.stat().st_size, kind, mode)

    def add_bytes(self, name: str, content: bytes, kind: str = "file") -> None:
        """A member with this content."""
        self._add(name, io.BytesIO(content), len(content), kind, 0o600)

    def close(self, manifest: Manifest) -> None:
        """Writes the manifest and the seal."""
        self.add_bytes(MANIFEST, manifest.encoded())
        self._tar.close()
        self._gzip.close()
        digest = self._raw.sha256.hexdigest()
        self._raw.write(Trailer(manifest.fleet, manifest.is_full, digest).encoded())

    def _add(self, name: str, stream: IO[bytes], size: int, kind: str, mode: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, mode & 0o777, int(time.time())
        reader = _HashingReader(stream)
        self._tar.addfile(member, reader)
        self.files[name] = {"bytes": size, "sha256": reader.sha256.hexdigest(), "kind": kind}


class _Hashing:
    """What gzip writes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""


class _HashingReader:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.sha256.update(data)
        return data


def seal(path: Path) -> Trailer | None:
    """What the end of the file says, in one small read; None for what is no backup. Raises OSError."""
    found = _sealed(path)
    return None if found is None else found[0]


def _sealed(path: Path) -> tuple[Trailer, int] | None:
    """The seal, and where it begins."""
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - MAX_TRAILER_BYTES))
        end = stream.read(MAX_TRAILER_BYTES)
    at = end.rfind(TRAILER_HEAD)
    if at < 0 or not end.endswith(TRAILER_TAIL):
        return None
    match = TRAILER.fullmatch(end[at + len(TRAILER_HEAD) : -len(TRAILER_TAIL)].decode("latin-1"))
    if match is None:
        return None
    return Trailer(match[1], match[2] == "full", match[3]), size - len(end) + at


Sink = Callable[[str, int], Path | None]
"""(member, mode) → where its content is to be written, None for nowhere. The file must not exist."""


def read(path: Path, sink: Sink = lambda _member, _mode: None) -> Manifest:
    """Reads a whole backup and proves it: checksum, members, manifest. Raises ArchiveError naming what is wrong.

    What `sink` wrote before it raises is not to be used. tarfile extracts nothing: contents are copied to where we say.
    """
    try:
        sealed = _sealed(path)
        if sealed is None:
            raise ArchiveError("{file} is no backup, or its end is missing", file=path)
        if _sha256(path, sealed[1]) != sealed[0].sha256:
            raise ArchiveError("{file} is damaged: its checksum is another", file=path)
        return _members(path, sealed[0], sink)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError("{file} is damaged: {why}", file=path, why=error) from error
    except OSError as error:
        raise ArchiveError(
            "cannot read {file}: {why}", file=error.filename or path, why=error.strerror or error
        ) from error


def _members(path: Path, sealed: Trailer, sink: Sink) -> Manifest:
    found: dict[str, tuple[int, str]] = {}
    raw = b""
    with (
        _opened(path) as stream,
        gzip.GzipFile(fileobj=stream) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        for member in tar:
            if not member.isreg() or not is_allowed(member.name) or member.name in found:
                raise ArchiveError(
                    "{file} holds what no backup does: {member}", file=path, member=ascii(member.name)
                )
            content = tar.extractfile(member)
            assert content is not None
            if member.name == MANIFEST:
                raw = content.read(MAX_MANIFEST_BYTES)
                continue
            found[member.name] = _drained(content, sink(member.name, member.mode))
    try:
        manifest = Manifest.decoded(raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveError("{file}: its manifest cannot be read", file=path) from error
    if (manifest.fleet, manifest.is_full) != sealed[:2]:
        raise ArchiveError("{file}: its manifest is of another backup", file=path)
    promised = {each: (facts["bytes"], facts["sha256"]) for each, facts in manifest.files.items()}
    for each in sorted({*promised, *found}):
        if promised.get(each) != found.get(each):
            raise ArchiveError(
                "{file} is damaged: {member} is not what its manifest says", file=path, member=each
            )
    return manifest


def _drained(content: IO[bytes], target: Path | None) -> tuple[int, str]:
    """(bytes, SHA-256) of a member, written to `target` where there is one."""
    digest, size = hashlib.sha256(), 0
    with _target(target) as write:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            write(chunk)
    return size, digest.hexdigest()


@contextmanager
def _target(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    if path is None:
        yield len
        return
    with path.open("xb") as stream:
        yield stream.write
        stream.flush()
        os.fsync(stream.fileno())


def _sha256(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with _opened(path) as stream:
        while size and (chunk := stream.read(min(CHUNK, size))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


def file_name(fleet: str, at: float) -> str:
    """`backup-FLEET-YYYYMMDD-HHMMSS.tar.gz`, local time."""
    return f"backup-{fleet}-{formatting.stamp(at)}.tar.gz"
