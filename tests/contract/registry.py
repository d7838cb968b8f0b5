"""A registry that has one small image, and one name whose manifest never comes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
HANGS_S = 30


def an_archive(name: str = "hello", content: bytes = b"hello\n") -> bytes:
    """Return a tar of one file: a root file system of its own."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@contextmanager
def serving() -> Iterator[str]:
    """Serve until the block ends; yield the registry's name, as image names begin with it."""
    layer = an_archive()
    packed = gzip.compress(layer, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"from": "the registry"}},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [],
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": LAYER, "size": len(packed), "digest": _digest(packed)}],
        }
    ).encode()
    blobs = {_digest(blob): blob for blob in (packed, config, manifest)}
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            *_path, kind, name = self.path.split("/")
            if "silent" in self.path:
                over.wait(HANGS_S)
            content = manifest if kind == "manifests" and name == "1" else blobs.get(name)
            if self.path == "/v2/":
                content = b"{}"
            self.send_response(200 if content is not None else 404)
            if content is not None:
                self.send_header(
                    "Content-Type", MANIFEST if kind == "manifests" else "application/octet-stream"
                )
                self.send_header("Docker-Content-Digest", _digest(content))
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def digest(host: str) -> str:
    """Return the digest of the registry's image."""
    with urllib.request.urlopen(f"http://{host}/v2/small/manifests/1", timeout=10) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
