import pytest

from supervisor.settings import SettingsError, parse

LEAST = {"BOTFLEET_INSTANCE": "bp_sol_01"}


def test_defaults_are_the_contracts() -> None:
    assert vars(parse(LEAST, [])) == {
        "instance": "bp_sol_01",
        "command": ("/opt/venv/bin/python", "-u", "/app/run.py"),
        "cancel_command": (),
        "auto_restart": True,
        "max_restarts": 3,
        "restart_delay": 60.0,
        "health_interval": 30.0,
        "health_path": "/health",
        "unhealthy_probes": 5,
        "stop_timeout": 45.0,
        "log_cleanup_interval": 86400.0,
        "log_retention_days": 2,
        "log_day_limit": 256,
        "crash_exit_codes": None,
        "completion": "exit",
        "duration": None,
    }


def test_the_containers_command_is_appended() -> None:
    environ = {**LEAST, "BOTFLEET_BOT_COMMAND": "/usr/bin/env bot"}
    assert parse(environ, ["--symbol", "SOL USDC"]).command == ("/usr/bin/env", "bot", "--symbol", "SOL USDC")


def test_the_cancel_program_gets_the_bots_arguments() -> None:
    environ = {**LEAST, "BOTFLEET_CANCEL_COMMAND": "/usr/bin/env cancel"}
    assert parse(environ, ["--symbol", "X"]).cancel_command == ("/usr/bin/env", "cancel", "--symbol", "X")
    assert parse(LEAST, ["--symbol", "X"]).cancel_command == ()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("AUTO_RESTART", "0", "auto_restart", False),
        ("MAX_RESTARTS", "100", "max_restarts", 100),
        ("MAX_RESTARTS", "", "max_restarts", 3),
        ("MAX_RESTARTS", " 7 ", "max_restarts", 7),
        ("RESTART_DELAY", "0", "restart_delay", 0.0),
        ("RESTART_DELAY", "3600", "restart_delay", 3600.0),
        ("HEALTH_INTERVAL", "1", "health_interval", 1.0),
        ("HEALTH_INTERVAL", "0.5", "health_interval", 0.5),
        ("HEALTH_PATH", "/-/versions.json?a=1", "health_path", "/-/versions.json?a=1"),
        ("UNHEALTHY_PROBES", "0", "unhealthy_probes", 0),
        ("STOP_TIMEOUT", "90", "stop_timeout", 90.0),
        ("LOG_CLEANUP_INTERVAL", "60", "log_cleanup_interval", 60.0),
        ("LOG_RETENTION_DAYS", "0", "log_retention_days", 0),
        ("LOG_DAY_LIMIT", "0", "log_day_limit", 0),
        ("CRASH_EXIT_CODES", "1, 2,255", "crash_exit_codes", frozenset({1, 2, 255})),
        ("CRASH_EXIT_CODES", "0", "crash_exit_codes", frozenset({0})),
        ("COMPLETION", "duration", "completion", "duration"),
        ("DURATION", "3600.5", "duration", 3600.5),
    ],
)
def test_values(name: str, text: str, field: str, value: object) -> None:
    assert getattr(parse({**LEAST, f"BOTFLEET_{name}": text}, []), field) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AUTO_RESTART", "yes"),
        ("MAX_RESTARTS", "-1"),
        ("MAX_RESTARTS", "1.5"),
        ("MAX_RESTARTS", "٣"),
        ("MAX_RESTARTS", "9" * 5000),
        ("RESTART_DELAY", "nan"),
        ("RESTART_DELAY", "inf"),
        ("RESTART_DELAY", "-1"),
        ("HEALTH_INTERVAL", "0"),
        ("HEALTH_PATH", "health"),
        ("HEALTH_PATH", "/a b"),
        ("HEALTH_PATH", "/a\r\nX: y"),
        ("STOP_TIMEOUT", "soon"),
        ("CRASH_EXIT_CODES", "1,,2"),
        ("CRASH_EXIT_CODES", "256"),
        ("COMPLETION", "always"),
        ("DURATION", "-5"),
    ],
)
def test_a_wrong_value_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"BOTFLEET_{name}: must be "):
        parse({**LEAST, f"BOTFLEET_{name}": text}, [])


def test_the_instance_is_required() -> None:
    with pytest.raises(SettingsError, match="BOTFLEET_INSTANCE is not set"):
        parse({}, [])
