"""The HTTP side: real sockets, hostile Host headers, an address that is taken."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from manager.errors import ManagerError
from manager.monitor.metrics.endpoint import Endpoint, is_trusted_host
from tests import ports


class One(Collector):
    def collect(self) -> list[Metric]:
        return [GaugeMetricFamily("one", "One.", value=1)]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint(("127.0.0.1", ports.reserve()), One())
    yield made
    made.close()


def ask(endpoint: Endpoint, method: str = "GET", path: str = "/metrics", host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=5)
    try:
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_scrape(endpoint: Endpoint) -> None:
    status, text = ask(endpoint)
    assert (status, "one 1.0" in text) == (200, True)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_foreign_host_reads_nothing_by_any_method(endpoint: Endpoint, method: str) -> None:
    status, text = ask(endpoint, method, host="evil.example:9095")
    assert (status, "one" in text.split("Misdirected")[0]) == (421, False)


def test_one_page_and_nothing_to_write_to(endpoint: Endpoint) -> None:
    assert ask(endpoint, path="/")[0] == 404
    assert ask(endpoint, path="/metrics/../etc")[0] == 404
    assert ask(endpoint, "POST")[0] == 405


@pytest.mark.parametrize(
    ("header", "trusted"),
    [
        ("127.0.0.1:9095", True),
        ("[::1]:9095", True),
        ("192.0.2.7", True),
        ("LocalHost:80", True),
        ("desk", True),
        ("desk.evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:80", False),
        ("", False),
        ("127.0.0.1@evil.example", False),
    ],
)
def test_which_hosts_are_this_machine(header: str, trusted: bool) -> None:
    assert is_trusted_host(header, {"localhost", "desk"}) is trusted


def test_an_address_that_is_taken_is_named(endpoint: Endpoint) -> None:
    with pytest.raises(ManagerError, match=f"cannot listen on 127.0.0.1:{endpoint.port}"):
        Endpoint(("127.0.0.1", endpoint.port), One())
