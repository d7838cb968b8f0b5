"""`/metrics` of the page: what is scraped there is of the last look, and closed to who has not signed in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from manager.errors import EngineUnreachable
from manager.monitor.metrics.families import Moves
from manager.ops.requests.request_budget import Budgets, Load, Share
from manager.web.access import Access, with_token
from tests.web.served import Client, Served, a_bot, serving

ACCESS, TOKEN = with_token(Access(), "prometheus", "read")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, [a_bot("bp_sol_01", pnl="10.5", quote="USDC")], ACCESS) as running:
        yield running


def scrape(served: Served, **headers: str) -> tuple[int, str, str]:
    program = {"Authorization": f"Bearer {TOKEN}", **headers}
    status, answer_headers, body = Client(served).get("/metrics", **program)
    return status, answer_headers["content-type"], body.decode() if isinstance(body, bytes) else str(body)


def samples(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_program_with_a_token_reads_the_last_look(served: Served) -> None:
    served.look()
    status, media_type, text = scrape(served)
    assert (status, media_type.partition(";")[0]) == (200, "text/plain")
    assert samples(text)["botfleet_bot_pnl"] == 10.5
    assert samples(text)["botfleet_engine_up"] == 1
    _status, media_type, text = scrape(served, Accept="application/openmetrics-text;version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    parsed = openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    assert "botfleet_bot_pnl" in {family.name for family in parsed}


def test_before_the_first_look_there_is_nothing_to_scrape(served: Served) -> None:
    served.pause.clear()
    assert scrape(served)[0] == 503
    served.pause.set()


def test_a_scrape_never_looks(served: Served) -> None:
    served.look()
    served.pause.clear()  # from here on a look would not come back for half a minute
    began = time.monotonic()
    for _number in range(3):
        assert samples(scrape(served)[2])["botfleet_bot_pnl"] == 10.5
    assert time.monotonic() - began < 20
    served.pause.set()


def test_an_engine_that_is_away_is_said_with_the_last_look(served: Served) -> None:
    served.look()
    served.error = EngineUnreachable("the engine is away")
    served.look()
    metrics = samples(scrape(served)[2])
    assert (metrics["botfleet_engine_up"], metrics["botfleet_bot_pnl"]) == (0, 10.5)


def test_what_watch_sees_here_comes_first_and_has_the_budgets(served: Served) -> None:
    served.look()
    served.fleet.targets_file.parent.mkdir(parents=True)
    row = a_bot("bp_sol_01", pnl="11", quote="USDC")
    watched = served.backend.exposition.of_watch(served.fleet, lambda _container: {})
    load = Load("aster", "address", ("bp_sol_01",), 1200.0, 2400.0)
    budgets = Budgets([load], {"bp_sol_01": Share(600.0, 60.0)})
    view = row.view._replace(container=None)
    watched.publish(served.fleet, {row.id: view}, {}, budgets)
    metrics = samples(scrape(served)[2])
    assert metrics["botfleet_requests_per_minute"] == 1200
    assert metrics["botfleet_requests_limit_per_minute"] == 2400
    assert metrics["botfleet_instance_requests_share_per_minute"] == 600
    assert served.fleet.targets_file.exists()
    watched.note_stop_by_limit(1700000000.0)
    watched.note_moves(Moves(1, 2))
    watched.publish(served.fleet, {row.id: view}, {}, budgets)  # which keeps both
    assert samples(scrape(served)[2])["botfleet_moved_lost"] == 1
    assert samples(scrape(served)[2])["botfleet_moves_interrupted"] == 2
    assert samples(scrape(served)[2])["botfleet_last_stop_by_limit_timestamp_seconds"] == 1700000000.0
    watched.close()
    assert samples(scrape(served)[2])["botfleet_bot_pnl"] == 10.5


def test_without_a_token_there_are_no_metrics(served: Served) -> None:
    stranger = Client(served)
    assert stranger.get("/metrics")[0] == 401
    assert stranger.get("/metrics", Authorization="Bearer botfleet_x")[0] == 401
    assert stranger.get("/metrics", Authorization=f"Bearer {TOKEN}", Host="evil.example")[0] == 421
    site = {"Authorization": f"Bearer {TOKEN}", "Sec-Fetch-Site": "cross-site"}
    assert stranger.get("/metrics", **site)[0] == 403
    assert stranger.call("POST", "/metrics", {}, {"Authorization": f"Bearer {TOKEN}"})[0] == 403
