"""config/fleet.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.config import fleet_settings
from manager.errors import ConfigError


def written(project: Path, text: str) -> Path:
    (project / "config").mkdir(parents=True)
    (project / "config" / "fleet.toml").write_text(text)
    return project


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    project = tmp_path / "My Desk_1"
    project.mkdir()
    fleet, defaults = fleet_settings.load(project)
    assert (fleet.name, fleet.mode, fleet.bind_address, fleet.image_name) == (
        "mydesk_1",
        "paper",
        "127.0.0.1",
        "mydesk_1-bot:local",
    )
    assert fleet.data_dir == project / "volumes"
    assert defaults == {}


def test_the_data_folder_may_be_the_old_systems(tmp_path: Path) -> None:
    fleet, _defaults = fleet_settings.load(written(tmp_path / "desk", 'data_dir = "."'))
    assert fleet.export_file == tmp_path / "desk" / "logs" / "instances.json"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name = "Desk"', "config/fleet.toml: name: must match [a-z0-9][a-z0-9_-]*"),
        *(
            (
                f"[container]\negress = {value}",
                "config/fleet.toml: container.egress: must be true, false, or a list of IPv4 addresses and"
                ' networks such as ["203.0.113.7:443", "198.51.100.0/24"]',
            )
            for value in ("1", "[]", '["a.example"]', '["1.2.3.4:0"]', '["1.2.3.4:x"]', '["::1"]', '"on"')
        ),
        ("[backup]\nkeep = -1", "config/fleet.toml: backup.keep: must be 0-100000, not -1"),
        (
            "[limits]\nfleet_daily_loss = 10",
            "config/fleet.toml: sums.currency: is required for [limits]: it is the currency that losses are"
            " counted in",
        ),
        (
            '[sums]\ncurrency = "US DOLLAR"',
            "config/fleet.toml: sums.currency: must be a currency such as USDC",
        ),
        ('[sums]\nrates = { "a b" = 1 }', "config/fleet.toml: sums.rates: must name currencies such as USDT"),
        (
            "[limit]\nfleet_daily_loss = 10",
            "config/fleet.toml: limit: is not a known key; did you mean limits?",
        ),
        (
            "[limits]\ndaily_loss = 10",
            "config/fleet.toml: limits.daily_loss: is not a known key; did you mean fleet_daily_loss?",
        ),
        (
            "[disk]\nqqq = 1",
            "config/fleet.toml: disk.qqq: is not a known key; known keys: growth_mb, growth_files,"
            " instance_mb, instance_files, keep_free_mb, keep_free_inodes_percent",
        ),
        (
            '[backup]\nkeep = 1\nconfig_variables = ["BP2_KEY"]',
            "config/fleet.toml: backup.config_variables: is not a key of this table; write it above the first"
            " [table]",
        ),
        ("[backup]\nkept = 1", "config/fleet.toml: backup.kept: is not a known key; did you mean keep?"),
        ("parallelism = 0", "config/fleet.toml: parallelism: must be 1-256, not 0"),
        ('mode = "real"', "config/fleet.toml: mode: must be 'paper' or 'live', not “real”"),
        ('bind_address = "everywhere"', "config/fleet.toml: bind_address: must be an IP address"),
        ('data_dri = "x"', "config/fleet.toml: data_dri: is not a known key; did you mean data_dir?"),
        (
            "[container]\npids_limt = 3",
            "config/fleet.toml: container.pids_limt: is not a known key; did you mean pids_limit?",
        ),
        ("[defaults]\nweb_port = 1", "config/fleet.toml: defaults.web_port: belongs in an instance config"),
        (
            "[defaults]\nrestart_delay = -1",
            "config/fleet.toml: defaults.restart_delay: must be 0-3600, not -1",
        ),
        ("name = ", "config/fleet.toml: is not TOML: Invalid value (at end of document)"),
    ],
)
def test_a_fault_names_file_key_and_rule(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fleet_settings.load(written(tmp_path / "desk", text))
    assert str(caught.value) == expected
    assert caught.value.exit_code == 4
