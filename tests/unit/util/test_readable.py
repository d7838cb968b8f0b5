"""Waiting for a stream whose descriptor has a high number: a process with many connections has such."""

from __future__ import annotations

import fcntl
import os
import resource
import time
from collections.abc import Iterator

import pytest

from manager.util.readable import wait_readable

HIGH = 1500


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft <= HIGH:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * HIGH, hard), hard))
    low, writer = os.pipe()
    reader = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH)
    os.close(low)
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_a_high_descriptor_is_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    assert reader >= HIGH
    began = time.monotonic()
    assert not wait_readable(reader, 0.1)
    assert time.monotonic() - began >= 0.1
    os.write(writer, b"x")
    assert wait_readable(reader, 5)


def test_no_time_is_no_wait(pipe: tuple[int, int]) -> None:
    assert not wait_readable(pipe[0], -1.0)
