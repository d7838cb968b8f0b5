"""deploy/: the rules by promtool, and a real Prometheus that scrapes a real fleet."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ports
from tests.deploy import prometheus_here
from tests.deploy.prometheus_here import Prometheus
from tests.fleet import ROOT, Project, a_project, built, eventually
from tests.receiver import watching

RULES = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "botfleet.json"
needs_prometheus = pytest.mark.skipif(
    prometheus_here.tool("promtool") is None or prometheus_here.tool("prometheus-alertmanager") is None,
    reason="Prometheus and Alertmanager are not installed",
)


def expressions() -> list[str]:
    """Return every expression of the dashboard, with its variables filled in."""
    dashboard = json.loads(DASHBOARD.read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [text.replace("$fleet", ".*").replace("$__rate_interval", "1m") for text in texts]


def metrics_in(text: str) -> set[str]:
    """Return the names of our metrics that are in an expression."""
    return set(re.findall(r"\bbotfleet_\w+", text))


@needs_prometheus
def test_the_rules_do_what_their_tests_say() -> None:
    promtool = str(prometheus_here.tool("promtool"))
    for command in (
        ["check", "rules", "botfleet.rules.yml"],
        ["test", "rules", "botfleet.rules.test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ):
        done = subprocess.run(
            [promtool, *command], cwd=RULES, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_test() -> None:
    rules = yaml.safe_load((RULES / "botfleet.rules.yml").read_text())
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tested = (RULES / "botfleet.rules.test.yml").read_text()
    assert {name for name in names if name not in tested} == set()


@needs_prometheus
@pytest.mark.engine
def test_bot_down_fires_and_resolves_and_the_dashboard_has_answers(tmp_path: Path) -> None:
    with a_project(tmp_path / "project", built("bot")) as project, webhook() as (address, posts):
        project.add("bp_sol_01", 0, daemon_config={"max_restart_attempts": 0})
        project.add("bp_eth_01", 1)
        project.manager("up", "--wait")
        port = ports.reserve()
        with (
            watching(project, "--metrics", f"127.0.0.1:{port}"),
            prometheus_here.alertmanager(tmp_path, address) as alertmanager,
            prometheus_here.running(
                tmp_path, configuration(tmp_path, project, port, alertmanager)
            ) as prometheus,
        ):
            eventually(lambda: running_bots(prometheus) == {"bp_sol_01", "bp_eth_01"}, 60, what="both bots")
            os.kill(project.instances()["bp_sol_01"]["bot_pid"], signal.SIGKILL)
            eventually(lambda: ("firing", "bp_sol_01") in posts, 60, what="BotDown fires")
            project.manager("start", "bp_sol_01")
            eventually(lambda: ("resolved", "bp_sol_01") in posts, 60, what="BotDown resolves")
            project.manager("stop", "bp_eth_01")
            eventually(lambda: running_bots(prometheus) == {"bp_sol_01"}, 60, what="one bot is stopped")
            assert ("firing", "bp_eth_01") not in posts
            scraped = {
                sample["metric"]["__name__"] for sample in prometheus.query('{__name__=~"botfleet_.*"}')
            }
            for expression in expressions():
                assert prometheus.query(expression) or metrics_in(expression) - scraped == {
                    "botfleet_backup_last_success_timestamp_seconds"
                }, expression
            targets = project.folder / "volumes" / "state" / "targets.json"
            assert len(json.loads(targets.read_text())) == 2
            assert prometheus.query('gridbot_info{job="bots",id="bp_sol_01",mode="paper"}')


def configuration(folder: Path, project: Project, port: int, alertmanager: str) -> dict[str, Any]:
    """Return deploy/prometheus/prometheus.yml with the test's addresses, and rules that do not wait."""
    rules = re.sub(r"\bfor: \d+m", "for: 1s", (RULES / "botfleet.rules.yml").read_text())
    (folder / "botfleet.rules.yml").write_text(rules)
    config: dict[str, Any] = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    watch, bots = config["scrape_configs"]
    watch["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    bots["file_sd_configs"][0]["files"] = [str(project.folder / "volumes" / "state" / "targets.json")]
    return config


def running_bots(prometheus: Prometheus) -> set[str]:
    samples = prometheus.query('botfleet_instance_state{botfleet_instance_state="running"} == 1')
    return {sample["metric"]["id"] for sample in samples}


@contextmanager
def webhook() -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Take what an Alertmanager posts: (status, instance) of every BotfleetBotDown."""
    posts: set[tuple[str, str]] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in body["alerts"]:
                if alert["labels"]["alertname"] == "BotfleetBotDown":
                    posts.add((alert["status"], alert["labels"]["id"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", posts
    finally:
        server.shutdown()
        server.server_close()
