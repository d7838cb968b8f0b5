"""What has to be added in several places is in all of them.

docs/architecture.md, "How to add", names these places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from gridbot.config import args
from gridbot.exchanges.venues import VENUES
from manager import errors, i18n
from manager.cli.command_table import COMMANDS
from manager.config import bot_argv, steering
from manager.config.exchanges import EXCHANGES
from manager.config.fleet import DEFAULT_STOP_TIMEOUT_S, Alerts
from manager.config.fleet_tables import AlertsTable
from manager.config.models import DaemonConfig, StrategyConfig
from manager.engine import labels
from manager.fleet.definition_drift import OF_HOST_CONFIG
from manager.monitor.watch.kinds import KIND_WORDS
from manager.web.engine_side import marks
from manager.web.protocol import ACTION_VERBS
from supervisor import settings

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"BOTFLEET_[A-Z_]+")
LABEL = re.compile(r"\blabels\.([A-Z_]+)")
OLD_KEYS = {"python_path", "script_path", "working_dir"}
"""Keys of the old system that are accepted and determine nothing."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_function(name: str) -> None:
    module, _dot, function = COMMANDS[name].function.partition(".")
    assert callable(getattr(import_module(f"manager.cli.commands.{module}"), function))


def test_an_exchange_is_in_every_list() -> None:
    assert set(args.EXCHANGES) == set(VENUES) == set(EXCHANGES)


@pytest.mark.parametrize("exchange", VENUES)
def test_the_variables_of_an_exchange_are_in_the_bots_readme(exchange: str) -> None:
    text = (ROOT / "docker/bot/README.md").read_text(encoding="utf-8")
    venue = VENUES[exchange]
    first_names = [names[0] for names in (*venue.keys.values(), *venue.optional.values())]
    assert first_names
    assert [name for name in first_names if f"`{name}`" not in text] == []


def test_a_parameter_of_a_strategy_becomes_an_option_that_the_bundled_bot_has() -> None:
    passed_on = bot_argv.keys_given("grid") | bot_argv.keys_given("standard")
    assert passed_on == set(StrategyConfig.model_fields)
    source = (ROOT / "docker/bot/gridbot/config/args.py").read_text(encoding="utf-8")
    tables = (*bot_argv.GRID_OPTIONS, *bot_argv.QUOTE_OPTIONS, *bot_argv.RUN_OPTIONS)
    options = {*bot_argv.IDENTITY, *bot_argv.FLAGS, *(option for option, _keys in tables)}
    assert [option for option in options if f'"{option}"' not in source] == []


@pytest.mark.parametrize("page", ["README.md", "README.zh-TW.md"])
def test_an_exit_code_is_in_the_table_of_exit_codes(page: str) -> None:
    rows = re.findall(r"^\| (\d) \| ", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    codes = {code for name, code in vars(errors).items() if name.isupper() and isinstance(code, int)}
    assert codes >= {errors.OK, errors.LOCKED}
    assert [int(row) for row in rows] == sorted(codes)


@pytest.mark.parametrize(
    ("script", "table", "names"),
    [
        ("actions.js", r"function verbNames\(\) \{\s+return \{(.+?)\};", ACTION_VERBS),
        ("marks.js", r"const names = \{(.+?)\};", get_args(marks.What)),
    ],
)
def test_the_page_has_a_word_for_each(script: str, table: str, names: Collection[str]) -> None:
    source = (ROOT / "manager/web/page" / script).read_text(encoding="utf-8")
    tables = re.findall(table, source, re.DOTALL)
    assert [sorted(re.findall(r"(\w+): t\(", text)) for text in tables] == [sorted(names)]


def test_an_alert_setting_has_a_default_a_rule_and_a_line_in_the_file() -> None:
    assert set(AlertsTable.model_fields) == set(Alerts._fields)
    table = (ROOT / "config/fleet.toml").read_text(encoding="utf-8").partition("# [alerts]")[2]
    assert set(re.findall(r"^# (\w+) = ", table.partition("\n# [")[0], re.MULTILINE)) == set(Alerts._fields)


@pytest.mark.parametrize(("page", "language"), [("alerts.md", "en"), ("alerts.zh-TW.md", "zh-TW")])
def test_an_alert_is_in_the_table_of_alerts_by_its_word(page: str, language: str) -> None:
    lines = (ROOT / "docs/operating" / page).read_text(encoding="utf-8").splitlines()
    first_cells = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    named = {word for cell in first_cells for word in re.split("[,、] ?", cell)}
    with i18n.speaking(language):
        assert {i18n._(word) for word in KIND_WORDS.values()} - named == set()


@pytest.mark.parametrize("page", ["metrics.md", "metrics.zh-TW.md"])
def test_a_metric_is_in_the_table_of_metrics(page: str) -> None:
    text = (ROOT / "docs/operating" / page).read_text(encoding="utf-8")
    documented = {name.removesuffix("_total") for name in re.findall(r"`(botfleet_\w+)[`{]", text)}
    source = (ROOT / "manager/monitor/metrics/families.py").read_text(encoding="utf-8")
    assert set(re.findall(r'"(botfleet_\w+)"', source)) - documented == set()


@pytest.mark.parametrize("page", ["others-configs.md", "others-configs.zh-TW.md"])
def test_a_variable_that_a_config_may_set_all_the_same_is_named(page: str) -> None:
    text = (ROOT / "docs/operating" / page).read_text(encoding="utf-8")
    assert [name for name in steering.HARMLESS if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", ["restarts.md", "restarts.zh-TW.md"])
def test_an_answer_of_health_that_the_supervisor_reads_is_in_the_table_of_restarts(page: str) -> None:
    source = (ROOT / "docker/supervisor/probe.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"status"\) [!=]= "(\w+)"', source))
    assert read == {"degraded", "starting"}
    text = (ROOT / "docs/operating" / page).read_text(encoding="utf-8")
    assert read - set(re.findall(r'"status": "(\w+)"', text)) == set()


def test_what_the_page_offers_no_upgrade_for_is_what_an_upgrade_leaves_alone() -> None:
    script = (ROOT / "manager/web/page/actions.js").read_text(encoding="utf-8")
    put_back = re.findall(r"^const PUT_BACK = new Set\((.+)\);$", script, re.MULTILINE)
    assert {*json.loads(put_back[0])} == OF_HOST_CONFIG


def test_a_key_of_daemon_config_determines_something() -> None:
    spec = (ROOT / "manager/config/spec.py").read_text(encoding="utf-8")
    unused = {key for key in DaemonConfig.model_fields if not re.search(rf"\.{key}\b", spec)}
    assert unused == OLD_KEYS


def test_a_label_is_written_or_read() -> None:
    sources = (path for path in (ROOT / "manager").rglob("*.py") if path.name != "labels.py")
    used = {name for path in sources for name in LABEL.findall(path.read_text(encoding="utf-8"))}
    ours = {name for name, key in vars(labels).items() if str(key).startswith("botfleet.")}
    assert ours >= {"INSTANCE", "MODE"}
    assert ours - used == set()


def test_manager_and_supervisor_give_a_bot_the_same_time_to_stop() -> None:
    assert settings.Settings.stop_timeout == DEFAULT_STOP_TIMEOUT_S == DaemonConfig().bot_stop_timeout


def test_a_variable_of_the_supervisor_is_in_the_contract() -> None:
    spec = (ROOT / "manager/config/spec.py").read_text(encoding="utf-8")
    source = (ROOT / "docker/supervisor/settings.py").read_text(encoding="utf-8")
    contract = (ROOT / "docker/README.md").read_text(encoding="utf-8")
    read = {f"BOTFLEET_{name}" for name in re.findall(r'"([A-Z_]+)"', source)}
    assert set(VARIABLE.findall(spec)) <= read
    assert set(VARIABLE.findall(spec)) <= set(VARIABLE.findall(contract))
