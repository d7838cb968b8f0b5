"""From samples to figures."""

from __future__ import annotations

from typing import Any

import pytest

from manager.fleet import cgroup_folders
from manager.monitor.stats import usage
from manager.monitor.stats.usage import Sample

ANSWER: dict[str, Any] = {
    "pids_stats": {"current": 3, "limit": 256},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 0, "op": "Write", "value": 8192},
            {"major": 8, "minor": 16, "op": "write", "value": 8},
        ]
    },
    "cpu_stats": {"cpu_usage": {"total_usage": 99_756_740}, "online_cpus": 2},
    "memory_stats": {
        "usage": 9_654_272,
        "limit": 67_108_864,
        "stats": {"inactive_file": 1, "total_inactive_file": 4096},
    },
    "networks": {
        "eth0": {"rx_bytes": 5936, "tx_bytes": 3456, "tx_packets": 31},
        "eth1": {"rx_bytes": 4, "tx_bytes": 4, "tx_packets": 1},
    },
}
"""What an engine on cgroup v1 answers, shortened."""


def test_cpu_is_percent_of_one_core() -> None:
    before, after = Sample(at=100.0, cpu_s=7.0, memory=1), Sample(at=100.5, cpu_s=7.75, memory=2)
    used = usage.usage_between(before, after)
    assert used.cpu == pytest.approx(150.0)
    assert used.last == after


@pytest.mark.parametrize(
    "before",
    [
        None,
        Sample(at=100.5, cpu_s=7.0, memory=1),  # no time between them
        Sample(at=100.0, cpu_s=9.0, memory=1),  # the container was started anew
    ],
)
def test_without_a_sample_before_there_is_no_cpu(before: Sample | None) -> None:
    assert usage.usage_between(before, Sample(at=100.5, cpu_s=7.75, memory=2)).cpu is None


def test_share_of_the_limit() -> None:
    def share(limit: int | None) -> float | None:
        return usage.usage_between(
            None, Sample(at=1.0, cpu_s=0.0, memory=64, memory_limit=limit)
        ).memory_share

    assert share(256) == 25.0
    assert share(None) is None


def test_the_engines_answer_is_the_same_sample() -> None:
    assert usage.parse_engine_stats(ANSWER, 5.0) == Sample(
        at=5.0,
        cpu_s=0.09975674,
        memory=9_650_176,
        memory_limit=67_108_864,
        pids=3,
        received=5940,
        sent=3460,
        read=4096,
        written=8200,
        packets_sent=32,
    )


def test_an_engine_on_version_2_counts_no_children_apart() -> None:
    memory = {"usage": 1000, "limit": 4000, "stats": {"inactive_file": 200}}
    used = usage.parse_engine_stats({**ANSWER, "memory_stats": memory}, 5.0)
    assert used is not None
    assert used.memory == 800


def test_nothing_to_be_had_from_what_does_not_run() -> None:
    assert (
        usage.parse_engine_stats({"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}, 5.0)
        is None
    )


def test_more_idle_files_than_memory_in_use_is_a_race_of_two_reads() -> None:
    assert cgroup_folders.without_cache(100, 40) == 60
    assert cgroup_folders.without_cache(100, 100) == 100
