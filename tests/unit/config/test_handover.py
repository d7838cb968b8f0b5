"""What a config may hand over to its bot: nothing that steers it, and nobody's secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from manager.config import handover, loader, steering
from manager.config.fleet import Alerts, Fleet
from tests.builders import a_config, a_fleet, a_spec

FILE = "config/active/bp_sol_01.json"
BUNDLED = Path(__file__).parents[3] / "docker" / "bot" / "gridbot"
BACKPACK = "https://api.backpack.exchange"


def refusals(fleet: Fleet | None = None, **sections: Any) -> list[str]:
    loaded = loader.load_value(a_config(**sections), FILE, fleet or a_fleet(), {}, {"A": "1", "URL": "u"}, {})
    assert loaded.problems == (), "it describes containers of older versions all the same"
    assert loaded.spec is not None
    return [str(problem).removeprefix(f"{FILE}: ") for problem in loaded.refusals]


STEERED = {
    "the interpreter": [
        "PYTHONWARNINGS",
        "PYTHONPATH",
        "pythonstartup",
        "NODE_OPTIONS",
        "PERL5OPT",
        "BASH_ENV",
        *("JULIA_LOAD_PATH", "ERL_FLAGS", "R_PROFILE_USER", "GEVENT_RESOLVER", "OCAMLRUNPARAM", "FAKETIME"),
        *(
            "GUILE_LOAD_PATH",
            "AIOHTTP_NO_EXTENSIONS",
            "FLASK_APP",
            "GUNICORN_CMD_ARGS",
            "OTEL_PYTHON_CONFIGURATOR",
        ),
        *("PY_SAX_PARSER", "_PYTHON_SYSCONFIGDATA_NAME", "__PYVENV_LAUNCHER__", "AWKPATH", "BC_ENV_ARGS"),
        *("MAVEN_OPTS", "COR_PROFILER", "ELIXIR_ERL_OPTIONS", "COMPlus_EnableProfiling", "SQLPATH"),
        *("SPRING_APPLICATION_JSON", "LOG4J_CONFIGURATION_FILE", "LOGGING_CONFIG", "CAMLLIB", "LOKY_PICKLER"),
        *("THEANO_FLAGS", "TRITON_PTXAS_PATH", "HYPERCORN_CONFIG", "PSQLRC", "QML2_IMPORT_PATH"),
        *("JRUBY_OPTS", "OPENJ9_JAVA_OPTIONS", "JPDA_ADDRESS", "KOTLIN_COMPILER", "IRBRC"),
        *(
            "GOTOOLCHAIN",
            "GOROOT",
            "GONOSUMDB",
            "GOCOVERDIR",
            "CGO_LDFLAGS",
            "RBENV_VERSION",
            "MSBuildSDKsPath",
        ),
        *("TF_XLA_FLAGS", "TORCH_EXTENSIONS_DIR", "TORCHINDUCTOR_CACHE_DIR", "KERAS_BACKEND", "NLTK_DATA"),
        *("JAX_COMPILATION_CACHE_DIR", "NVCC_PREPEND_FLAGS", "CYTHON_CACHE_DIR", "TVM_LIBRARY_PATH"),
        *(
            "FREQTRADE__STRATEGY_PATH",
            "DYNACONF_SETTINGS",
            "ANSIBLE_CONFIG",
            "GHC_PACKAGE_PATH",
            "PLTCOLLECTS",
        ),
        *("PYTEST_ADDOPTS", "GUILE_LOAD_COMPILED_PATH", "OCTAVE_PATH", "POETRY_VIRTUALENVS_PATH"),
    ],
    "the loader": [
        *(
            "_RJEM_MALLOC_CONF",
            "CPUPROFILE",
            "__GLX_VENDOR_LIBRARY_NAME",
            "RDMAV_DRIVERS",
            "FI_PROVIDER_PATH",
        ),
        *(
            "NCCL_NET",
            "UCX_TLS",
            "GI_TYPELIB_PATH",
            "GIO_EXTRA_MODULES",
            "GST_PLUGIN_SCANNER",
        ),
        *("OMPI_MCA_mca_base_component_path", "PMIX_MCA_x"),
        *("LLVM_SYMBOLIZER_PATH", "QTWEBENGINEPROCESS_PATH"),
        *("CUDA_INJECTION64_PATH", "VK_LAYER_PATH", "QT_PLUGIN_PATH", "UID_WRAPPER"),
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "GLIBC_TUNABLES",
        "LIGHTER_SIGNER_LIBRARY",
        "OPENSSL_CONF",
        *("GETCONF_DIR", "I18NPATH", "ICU_DATA", "GMON_OUT_PREFIX"),
        *("INTEL_LIBITTNOTIFY64", "NVTX_INJECTION64_PATH", "SDL_DYNAMIC_API", "GSS_MECH_CONFIG", "TDSDUMP"),
        *("SOFTHSM2_CONF", "OPENSC_DRIVER", "GDAL_DRIVER_PATH", "VDPAU_DRIVER_PATH", "ASAN_OPTIONS"),
        *("GCOV_PREFIX", "LLVM_PROFILE_FILE", "NOTIFY_SOCKET", "LISTEN_FDS", "FREETDSCONF"),
    ],
    "where programs and files are found": [
        "PATH",
        "HOME",
        "BROWSER",
        "TMPDIR",
        "NETRC",
        "GIT_SSH_COMMAND",
        "AWS_CONFIG_FILE",
        "TERMINFO",
        "MPLBACKEND",
        "LESSOPEN",
        *(
            "TAR_OPTIONS",
            "CC",
            "LDSHARED",
            "MAKEFLAGS",
            "RSYNC_RSH",
            "SVN_SSH",
            "HGRCPATH",
            "VIMINIT",
            "INPUTRC",
        ),
        *("CPATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "CMAKE_PREFIX_PATH", "CXXCPP", "FFLAGS"),
        *(
            "CHROME_BIN",
            "CHROMEDRIVER",
            "PUPPETEER_EXECUTABLE_PATH",
            "PLAYWRIGHT_BROWSERS_PATH",
            "AUTOSSH_PATH",
        ),
        *("GNUPGHOME", "WGETRC", "LDAPCONF", "SASL_CONF_PATH", "CPP", "AR", "MAILCAPS"),
        *("ODBCINI", "TNS_ADMIN", "KRB5CCNAME", "MYSQL_HOME", "ALSA_CONFIG_PATH", "CLOUDSDK_CONFIG"),
    ],
    "which certificates connections trust": [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "DB_SSLMODE",
        *("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "GNUTLS_SYSTEM_PRIORITY_FILE", "LDAPTLS_REQCERT", "CTLOG_FILE"),
    ],
    "proxies": [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "SOCKS_SERVER",
        "TORSOCKS_CONF_FILE",
        "PROXY",
        "BACKPACK_HTTPS_PROXY",
        "REQUEST_METHOD",
    ],
    "addresses": [
        "BACKPACK_API_URL",
        "BASE_URL",
        "API_BASE_URL",
        "WS_HOST",
        "RPC_ENDPOINT",
        "API_HOSTNAME",
        "HOSTALIASES",
        "SENTRY_DSN",
        *("HOSTS", "RPC", "API_BASE", "WEB3_PROVIDER", "PGPORT", "MYSQL_UNIX_PORT", "WEBHOOK", "GATEWAY"),
        *("REST_URL2", "RPC_1", "WS_ENDPOINT_V2", "HOST1", "DBHOST", "RESTENDPOINT", "BACKPACK_WSS"),
        *("BINANCE_API_BASE", "DB_CONNECTION_STRING", "REDIS_SENTINELS", "RABBITMQ_NODENAME", "ZK_QUORUM"),
        "GCE_METADATA_IP",
        *("NIS_PATH", "HES_DOMAIN", "HESIOD_CONFIG", "AT_SPI_BUS_ADDRESS"),
    ],
    "how the manager and the bot work together": [
        *("BOT_WEB_TOKEN", "BOT_WEB_HOSTS", "BOTFLEET_REPORT", "GRIDBOT_MARKET"),
    ],
}


@pytest.mark.parametrize(
    "value",
    [
        *(
            "https://evil.example",
            "wss://evil.example/ws",
            "redis://10.0.0.1/0",
            "module://evil",
            "//evil.example/x",
        ),
        *(
            "evil.example:443",
            "203.0.113.7:8545",
            "[2001:db8::1]:443",
            "localhost:6379",
            "a, evil.example:443",
        ),
        *("file:///etc/passwd", "http=evil.example:80", "https://evil.example/${BACKPACK_KEY}"),
        *(
            '"https://evil.example"',
            '{"url":"wss://evil.example"}',
            "[https://evil.example]",
            "(evil.example:443)",
        ),
        *(
            "<https://evil.example>",
            "me@evil.example:22",
            "x-https://evil.example",
            "203.0.113.7",
            "2001:db8::1",
        ),
        *("https:evil.example", "HTTPS:/evil.example", "a wss:evil.example", r"http:\\evil.example"),
        *("[evil.example:443]", "a [2001:db8::1]:443", "::1", "['203.0.113.7']", "203.0.113.0/24"),
    ],
)
def test_an_address_steers_whatever_its_variable_is_called(value: str) -> None:
    told = "which determines addresses"
    assert any(told in problem for problem in refusals(environment={"GATE": value}))
    if "$" not in value:
        allowed = a_fleet(config_variables=("GATE",))
        assert any(
            told in problem for problem in refusals(allowed, environment={"DOOR": f"${{GATE:-{value}}}"})
        )


@pytest.mark.parametrize(
    "value",
    [
        "12:30:15",
        "0.5:3,1.0:2",
        "1.2.3.4.5",
        "[0.5, 1.0]",
        "a@b",
        '{"a": [1, 2.5]}',
        "x::y",
        "SOL/USDC:USDC",
        "profile:fast",
        "a/b.log",
        "bot.log",
        "1.2.3",
        "x=y",
        "",
        "~/x",
        "10:5",
    ],
)
def test_what_is_no_address_is_handed_over(value: str) -> None:
    assert refusals(environment={"LEVELS": value}) == []


def test_the_exchanges_own_address_passes_under_any_name() -> None:
    assert refusals(environment={"GATE": BACKPACK}) == []


@pytest.mark.parametrize(
    ("what", "name"), [(what, name) for what, names in STEERED.items() for name in names]
)
def test_a_config_gives_no_steering_variable_a_value(what: str, name: str) -> None:
    fleet = a_fleet(config_variables=("*",))
    for sections, path in (
        ({"environment": {name: "x"}}, f"environment.{name}"),
        ({"environment": {name: ""}}, f"environment.{name}"),
        ({"environment": {name: "${A}"}}, f"environment.{name}"),
        ({"environment": {"SOME": f"${{{name}:-x}}"}}, "environment.SOME"),
        ({"exchange_config": {"some": [f"${{{name}:-x}}"]}}, "exchange_config.some[0]"),
    ):
        (refusal,) = refusals(fleet, **sections)
        assert refusal.startswith(f"{path}: gives {name} a value, which determines {what}; a config must not")
        assert refusal.endswith(f'write it to .env, and add "{name}" to variables in config/fleet.toml')
    assert refusals(fleet, environment={name: f"${{{name}}}"}) == [], "its value comes from .env"
    assert refusals(fleet, exchange_config={"some": f"${{{name}}}"}) == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("TRADING_MODE", "sets from mode; remove it, and set that key"),
        ("trading_mode", "sets from mode; remove it, and set that key"),
        ("WEB_PORT", "sets from daemon_config.web_port; remove it, and set that key"),
        ("DB_PATH", "sets from daemon_config.db_path; remove it, and set that key"),
        ("WEB_HOST", "sets by itself; remove it"),
        ("ENABLE_DATABASE", "sets by itself; remove it"),
    ],
)
def test_what_the_manager_sets_is_set_by_its_key(name: str, advice: str) -> None:
    """Neither .env nor a list in fleet.toml reaches these: the container's own values count."""
    for sections, path in (
        ({"environment": {name: "x"}}, f"environment.{name}: gives {name} a value"),
        ({"environment": {"SOME": f"${{{name}:-x}}"}}, f"environment.SOME: gives {name} a value"),
        ({"exchange_config": {"some": f"${{{name}:-x}}"}}, f"exchange_config.some: gives {name} a value"),
    ):
        assert refusals(a_fleet(config_variables=("*",)), **sections) == [
            f"{path}, which the manager {advice}"
        ]
    (refused,) = refusals(environment={name: f"${{{name}}}"})
    assert refused == f"environment.{name}: references {name}, which the manager {advice}"


def test_a_host_s_name_alone_passes_and_the_bundled_bot_reads_no_address_from_such_a_name() -> None:
    for value in ("eu.example", "eu.example/x", "3405803783"):
        assert refusals(environment={"REGION": value}) == []
    sources = [path.read_text(encoding="utf-8") for path in BUNDLED.rglob("*.py")]
    read = {
        name
        for source in sources
        for name in re.findall(r"""(?:env|environ)(?:, |\S{0,5}[(\[])["']([A-Z_]+)""", source)
    }
    assert {"GRIDBOT_MARKET", "HTTPS_PROXY", "TRADING_MODE"} <= read
    free = {name for name in read if steering.steered_by(name) is None and name not in handover.MANAGERS_OWN}
    credentials = {name for name in free if steering.belongs_to(name, name.partition("_")[0])}
    assert free - credentials == {"OTHER_BOTS_POSITION"}


@pytest.mark.parametrize(
    "name",
    [
        *("LOG_LEVEL", "WALLET", "PARADEX_ACCOUNT_ADDRESS", "ORDER_TTL", "DEPTH", "TZ", *steering.HARMLESS),
        *("LEVEL_2", "TF_15M", "GOAL", "FEATURE_FLAGS", "STRATEGY_OPTIONS", "LOG_FILE", "DATA_DIR", "V2"),
        *("OMP_NUM_THREADS", "TESTNET", "DRY_RUN", "PRICE_SRC", "HF_MODE", "GHOST_ORDERS"),
    ],
)
def test_other_values_of_a_config_are_its_own_business(name: str) -> None:
    assert refusals(environment={name: "x"}) == []


@pytest.mark.parametrize("name", ["BASE_URL", "BACKPACK_API_URL", "BACKPACK_BASE_URL"])
def test_the_exchanges_own_address_passes(name: str) -> None:
    for address in (BACKPACK, f"{BACKPACK}/", f"{BACKPACK}/api/v1", f"{BACKPACK}:443", BACKPACK.upper()):
        assert refusals(exchange_config={"base_url": f"${{{name}:-{address}}}"}) == []
        assert refusals(environment={name: address}) == []
        assert refusals(environment={name: f"${{{name}:-{address}}}"}) == []


@pytest.mark.parametrize(
    "address",
    [
        "https://api.example",
        "http://api.backpack.exchange",
        "https://api.backpack.exchange.example",
        "https://api.backpack.exchange@api.example",
        "https://api.backpack.exchange:8443",
        "https://u:p@api.backpack.exchange",
        "https://api.example/https://api.backpack.exchange",
        "https://api.example#api.backpack.exchange",
        "https://api.example\\@api.backpack.exchange",
        "https://fapi.asterdex.com",
        "https://[api.backpack.exchange",
        "https://api.backpack.exchange:x",
        "//api.backpack.exchange",
    ],
)
def test_another_address_does_not(address: str) -> None:
    assert len(refusals(environment={"BASE_URL": address})) == 1
    assert len(refusals(exchange_config={"base_url": f"${{BASE_URL:-{address}}}"})) == 1


def test_a_config_uses_the_credentials_of_its_own_exchange_and_what_the_fleet_allows() -> None:
    names = {
        "a": "${BACKPACK_API_KEY}",
        "b": "${BACKPACK_PASSPHRASE}",
        "c": "${HTTPS_PROXY}",
        "d": "${GRIDBOT_X}",
    }
    assert refusals(exchange_config=names) == []
    second = {"api_key": "${BP2_KEY}", "secret_key": "${BP2_SECRET}"}
    assert refusals(exchange_config=second) == [
        "exchange_config.api_key: references BP2_KEY, BP2_SECRET, which config/fleet.toml does not allow; if"
        ' you trust this config, write there: config_variables = ["BP2_KEY", "BP2_SECRET"]'
    ]
    assert refusals(a_fleet(config_variables=("BP2_*",)), exchange_config=second) == []
    (refusal,) = refusals(a_fleet(config_variables=("X",)), environment={"ID": "a-${ASTER_KEY}"})
    assert refusal.startswith("environment.ID: references ASTER_KEY, ")
    assert refusal.endswith('config_variables = ["X", "ASTER_KEY"]'), (
        "the line replaces the one that is there"
    )


@pytest.mark.parametrize("exchange", ["github", "aws", "BP2", "alert", ""])
def test_a_config_does_not_choose_a_prefix(exchange: str) -> None:
    """Exchanges are free words for a bot of one's own."""
    assert not steering.belongs_to(f"{exchange.upper()}_KEY", exchange)


@pytest.mark.parametrize("fleet", [a_fleet(), a_fleet(variables=("*",)), a_fleet(config_variables=("*",))])
def test_the_addresses_of_alerts_reach_no_bot(fleet: Fleet) -> None:
    fleet = fleet._replace(alerts=Alerts(urls=("${PAGER}",), heartbeat="${BEAT}"))
    for name in ("PAGER", "BEAT"):
        for sections in (
            {"exchange_config": {"x": f"${{{name}}}"}},
            {"environment": {"X": f"a ${{{name}}}"}},
        ):
            (refusal,) = refusals(fleet, **sections)
            assert refusal.endswith(f"references {name}, which belongs to [alerts] of config/fleet.toml")


def test_other_sections_reference_nothing() -> None:
    fleet = a_fleet(variables=("*",), alerts=Alerts(urls=("${URL}",)))
    assert refusals(fleet, metadata={"symbol": "${A}"}, daemon_config={"db_path": "database/${A}.db"}) == [
        f"{path}: references A, which only exchange_config and environment may; write the value itself here"
        for path in ("metadata.symbol", "daemon_config.db_path")
    ]
    loaded = loader.load_value(
        a_config(metadata={"symbol": "x${URL}"}), FILE, fleet, {}, {"URL": "hidden"}, {}
    )
    assert "hidden" not in repr(loaded)
    assert len(loaded.refusals) == 1


def test_the_references_of_a_flat_file_are_named_where_they_are() -> None:
    raw = {
        "web_port": 5001,
        "log_dir": "logs/${A}",
        "bot_args": ["--symbol", "${A}"],
        "environment": {"PATH": "/x"},
    }
    loaded = loader.load_value(raw, FILE, a_fleet(), {}, {"A": "1"}, {})
    assert [problem.path for problem in loaded.refusals] == ["log_dir", "bot_args[1]", "environment.PATH"]


def test_a_declared_secret_is_not_in_clear_text() -> None:
    fleet = a_fleet(secret_variables=("WALLET",), config_variables=("WALLET",))
    assert refusals(fleet, environment={"WALLET": "${WALLET}"}) == []
    (refusal,) = refusals(fleet, environment={"WALLET": "0x1"})
    assert refusal.startswith("environment.WALLET: contains a credential in clear text")


def test_all_that_a_config_gives_is_told() -> None:
    spec = a_spec(
        exchange_config={"url": "${BASE_URL:-https://x.example}", "id": "${ID}"},
        environment={"LEVEL": "DEBUG", "ID": "${ID:-7}"},
    )
    assert handover.literals(spec, {"BASE_URL": "u"}) == {"LEVEL": "DEBUG", "ID": "${ID:-7}"}
    assert handover.literals(spec, {}) == {
        "BASE_URL": "https://x.example",
        "LEVEL": "DEBUG",
        "ID": "${ID:-7}",
    }


HIDDEN = (
    *(
        "\n",
        "\t",
        "\x00",
        "\x1b[2J",
        "\x7f",
        "\x9b",
        "\u00ad",
        "\u061c",
        "\u200b",
        "\u200d",
        "\u200f",
        "\u2028",
    ),
    *(
        "\u202e",
        "\u2066",
        "\u3000",
        "\ufeff",
        "\ufff9",
        "\U000e0041",
        "\ue000",
        "\u0378",
    ),  # by their categories
    *("\u034f", "\u115f", "\u1160", "\u17b4", "\u180b", "\u2800", "\u3164", "\ufe00", "\ufe0f", "\uffa0"),
    *("\U0001d159", "\U00016fe4", "\U000e0100"),  # printable, and seen as nothing
)


def hidden(path: str, sign: str) -> str:
    return (
        f"{path}: contains the character U+{ord(sign):04X}, which is not seen, or changes how the text around"
        " it is shown; remove it"
    )


@pytest.mark.parametrize("text", HIDDEN)
def test_names_that_are_shown_are_seen(text: str) -> None:
    for key in ("log_dir", "db_path"):
        value = {"log_dir": f"logs/a{text}b", "db_path": f"database/a{text}.db"}[key]
        assert refusals(daemon_config={key: value}) == [hidden(f"daemon_config.{key}", text[0])]
    assert refusals(metadata={"tags": ["night", f"a{text}"]}) == [hidden("metadata.tags[1]", text[0])]
    if not text[0].isspace() and text[0] not in "\x00\x1b\x7f":  # else it is not one word, which says it
        assert refusals(metadata={"symbol": f"SOL{text}USDC"}) == [hidden("metadata.symbol", text[0])]
    (refusal,) = refusals(environment={f"A{text}B": "x"})
    assert "must be a variable's name" in refusal
    loaded = loader.load_value(a_config(f"a{text}b"), FILE, a_fleet(), {}, {}, {})
    assert "must be 1 to 63 characters" in str(loaded.problems[0])


def test_a_display_name_is_seen_too_and_may_be_a_sentence() -> None:
    assert refusals(metadata={"description": "a\x1b[2Jb", "author": "\u202e"}) == [], "printed without them"
    for text in (
        "\x1b[2J",
        "\x9b",
        "\u202e",
        "\u2066",
        "\u061c",
        "\u200b",
        "\u3164",
        "\u2800",
        "\U000e0041",
        "\r",
    ):
        assert refusals(metadata={"name": f"a{text}b"}) == [hidden("metadata.name", text[0])]
    for text in (
        "\ufe0fa",
        "a\u200d\u200db",
        "a\ufe0f\ufe0f",
        "a \u200db",
    ):  # nothing before them to belong to
        assert len(refusals(metadata={"name": text})) == 1
    for text in (
        "⚠️ SOL",
        "👩‍💻 and ❤️‍🔥",
        "網格　測試",
        "10\u00a0%",
        "first line\n\tsecond",
        "สวัสดี",
        "می‌خواهم",
    ):
        assert refusals(metadata={"name": text}) == []


@pytest.mark.parametrize(
    "text", ["a\x00LD_PRELOAD=x", "\x1b[2J", "a\rb", "\u202eevil", "\u200bhttps://evil.example"]
)
def test_what_is_handed_over_is_seen(text: str) -> None:
    sign = next(sign for sign in text if not sign.isprintable())
    fleet = a_fleet(config_variables=("LEVEL",))
    assert hidden("environment.LEVEL", sign) in refusals(environment={"LEVEL": text})
    for section in ({"x": [f"${{LEVEL:-{text}}}"]}, {"x": [text]}):
        assert hidden("exchange_config.x[0]", sign) in refusals(fleet, exchange_config=section)
    assert refusals(bot_args=["--symbol", text]) == [hidden("bot_args[1]", sign)]
    assert refusals(environment={"LEVEL": "two\nlines, 全　形"}) == []


def test_a_key_forges_no_line() -> None:
    told = loader.load_value(a_config(environment={"A\nerror: x": "y"}), FILE, a_fleet(), {}, {}, {}).refusals
    assert [str(text).splitlines() for text in told] == [[str(text)] for text in told]


def test_neither_a_value_nor_a_file_forges_a_line() -> None:
    told = loader.load_value(
        a_config(daemon_config={"db_path": "x\nerror: y"}), "config/active/a\nb.json", a_fleet(), {}, {}, {}
    )
    (problem,) = told.problems
    assert str(problem).startswith("config/active/a b.json: daemon_config.db_path: must be a path such as ")
    assert len(str(problem).splitlines()) == 1


@pytest.mark.parametrize("name", ["夜", "ñandú", "e\u0301", "ไทย", "⭐", "a b", "SOL/USDC:USDC"])
def test_names_of_any_script_are_allowed(name: str) -> None:
    assert (
        refusals(metadata={"tags": [name]}, daemon_config={"log_dir": f"logs/{name.replace('/', '_')}"}) == []
    )


def test_the_image_of_ones_own_bot_allows_what_it_records_and_never_what_alerts_use() -> None:
    own = {"exchange_config": {"phrase": "${WALLET_PHRASE}"}, "environment": {"X": "${TELEGRAM}"}}
    allowing = a_fleet(image_variables=("WALLET_PHRASE", "TELEGRAM"), alerts=Alerts(urls=("${TELEGRAM}",)))
    assert refusals(allowing, **own) == [
        "environment.X: references TELEGRAM, which belongs to [alerts] of config/fleet.toml"
    ]
    assert len(refusals(a_fleet(), **own)) == 1


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "UTC", "EST5EDT,M3.2.0,M11.1.0", "<+08>-8", "", "${ZONE:-UTC}"]
)
def test_a_time_zone_is_a_name_or_its_rules(zone: str) -> None:
    assert refusals(a_fleet(config_variables=("ZONE",)), environment={"TZ": zone}) == []


@pytest.mark.parametrize(
    "zone", ["/data/fifo", ":/data/fifo", "../../data/fifo", "a/../../data/fifo", "${TZ:-/data/fifo}"]
)
def test_a_time_zone_is_no_file_of_the_bot_s(zone: str) -> None:
    refusal = refusals(a_fleet(config_variables=("TZ",)), environment={"TZ": zone})[0]
    assert refusal == "environment.TZ: must be a time zone such as Europe/Berlin, and no path to a file"
