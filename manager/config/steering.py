"""Tell which variables steer a bot's process instead of informing its strategy. Pure.

They come only from config/fleet.toml and .env: a config is passed on between people, and must not run code,
redirect requests or change what kind of trading it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from manager.config.exchanges import EXCHANGES
from manager.i18n import mark
from manager.util.late_pattern import late_pattern

STEERING: Mapping[str, tuple[str, ...]] = {
    mark("how the manager and the bot work together"): (
        *("TRADING_MODE", "WEB_*", "DB_PATH", "ENABLE_DATABASE", "BOT_*", "BOTFLEET_*", "GRIDBOT_*"),
    ),
    mark("the interpreter"): (
        *("PYTHON*", "VIRTUAL_ENV", "CONDA_*", "NODE_*", "NPM_*", "DENO_*", "BUN_*", "PERL*", "RUBY*"),
        *("GEM_*", "BUNDLE_*", "JAVA_*", "_JAVA_*", "JDK_*", "CLASSPATH", "DOTNET_*", "CORECLR_*", "LUA_*"),
        *("JULIA_*", "ERL_*", "TCLLIBPATH", "MONO_*", "R_PROFILE*", "R_ENVIRON*", "R_LIBS*", "GHCRTS"),
        *("*RUNPARAM", "IPYTHONDIR", "JUPYTER_*", "GEVENT_*", "ELECTRON_*", "TS_NODE_*", "YARN_*"),
        *("GOFLAGS", "GOPATH", "GOPROXY", "GO*SUMDB", "RUST*", "CARGO_*", "FAKETIME*", "LIBFAKETIME"),
        *("*_NO_EXTENSIONS", "*_LOAD_PATH", "*LOADPATH", "FLASK_*", "DJANGO_*", "WERKZEUG_*", "UVICORN_*"),
        *("GUNICORN_*", "CELERY_*", "RAY_*", "DASK_*", "OTEL_*", "DD_*", "PYDEVD_*", "DEBUGPY_*"),
        *("SETUPTOOLS_*", "DISTUTILS_*", "HADOOP_*", "KAFKA_*", "NUMBA_*"),
        *("PHP*", "GODEBUG", "SHELL", "BASH*", "SHELLOPTS", "ENV", "IFS", "PS4", "PROMPT_COMMAND"),
        # Python imports the module that these name.
        *("PY_SAX_PARSER", "_PYTHON_*", "__PYVENV_*"),
        *("MAVEN_OPTS", "GRADLE_OPTS", "SBT_OPTS", "ANT_OPTS", "JVM_OPTS", "CATALINA_OPTS"),
        *("COR_PROFILER*", "COR_ENABLE_PROFILING", "ELIXIR_ERL_OPTIONS"),
        *("AWKPATH", "AWKLIBPATH", "BC_ENV_ARGS", "M4PATH", "MATLABPATH", "OCTAVE_*", "SQLPATH"),
        *("COMPLUS_*", "ASPNETCORE_*", "SPRING_*", "LOG4J_*", "LOGGING_CONFIG", "*_LOAD_COMPILED_PATH"),
        *("CAMLLIB", "OCAMLLIB", "LOKY_PICKLER", "*_ADDOPTS", "POETRY_*", "PDM_*"),
        # A compiler's flags or a program's path, a module of settings, a file with commands.
        *("THEANO_*", "TRITON_*", "HYPERCORN_*", "PSQLRC", "QML_*", "QML2_*"),
        *("*_OPTS", "*JAVA_OPTIONS", "JPDA_*", "*_ASKPASS", "*_COMPILER", "IRBRC", "PRYRC", "SCREENRC"),
        *("GOENV", "GOROOT", "GOBIN", "GOTOOLCHAIN", "GOINSECURE", "GONO*", "GOPRIVATE", "GOMODCACHE"),
        *("GOCACHE", "GOCOVERDIR", "GOEXPERIMENT", "CGO_*", "RBENV_*", "PYENV_*", "MSBUILD*", "NUGET_*"),
        *("COREHOST_*", "VSTEST_*", "GHC_*", "CABAL_*", "STACK_ROOT", "OPAM*", "CHICKEN_*", "PLTCOLLECTS"),
        # Libraries that compile, or load what was compiled or pickled, and settings by a name of any kind.
        *("*XLA_FLAGS", "TORCH*", "PYTORCH_*", "JAX_*", "KERAS_*", "TRANSFORMERS_*", "HF_HUB_*", "NLTK_*"),
        *("CUPY_*", "CYTHON_*", "PYOPENCL_*", "NVCC_*", "TVM_*", "DYNACONF_*", "HYDRA_*", "FREQTRADE__*"),
        "ANSIBLE_*",
    ),
    mark("the loader"): (
        *("LD_*", "DYLD_*", "GLIBC_*", "MALLOC_*", "GCONV_PATH", "LOCPATH", "NLSPATH", "OPENSSL_*"),
        *("GETCONF_DIR", "I18NPATH", "ICU_DATA", "GMON_OUT*"),
        *("*_LIBRARY", "*_LIBRARIES", "LIBRARY_PATH", "*_LIBRARY_PATH", "*_LIB", "*_PLUGIN*", "*_MODULE*"),
        # Libraries that are loaded by name, and files that a sanitizer or a profiler writes.
        *("INTEL_LIBITTNOTIFY*", "INTEL_JIT_PROFILER*", "*_INJECTION64_PATH", "SDL_*", "GSS*", "SOFTHSM2_*"),
        *("OPENSC_*", "*_DRIVER_PATH", "ASAN_*", "LSAN_*", "MSAN_*", "TSAN_*", "UBSAN_*", "GCOV_*"),
        *("LLVM_PROFILE_FILE", "NOTIFY_SOCKET", "LISTEN_*", "TDSDUMP*", "FREETDS*"),
        *("OMPI_MCA_*", "PMIX_MCA_*", "LLVM_SYMBOLIZER_PATH", "QTWEBENGINE*"),
        *("*MALLOC_CONF", "TCMALLOC_*", "HEAPPROFILE", "HEAPCHECK", "CPUPROFILE*", "PERFTOOLS_*", "__*"),
        *("RDMAV_*", "FI_PROVIDER*", "NCCL_*", "UCX_*", "GI_*", "GIO_*", "GST_*", "GDK_*", "GSETTINGS_*"),
        "ECCODES_*",
        *("CUDA_*", "OCL_*", "VK_*", "QT_*", "GTK_*", "LADSPA_*", "LV2_*", "*_DRIVERS_PATH", "*_WRAPPER*"),
    ),
    mark("where programs and files are found"): (
        *("PATH", "CDPATH", "HOME", "XDG_*", "TMPDIR", "TMP", "TEMP", "NETRC", "BROWSER", "EDITOR", "VISUAL"),
        *("PAGER", "*_PAGER", "*_EDITOR", "*_BROWSER", "*_COMMAND", "*_CMD", "*_EXEC", "GIT_*", "SSH_*"),
        *("LESSOPEN", "LESSCLOSE", "ZDOTDIR", "FPATH", "TZDIR", "KRB5*", "PGSERVICE*"),
        *("PGSYSCONFDIR", "PGPASSFILE", "ODBC*", "TNS_ADMIN", "MATPLOTLIBRC", "BOTO_CONFIG", "CLOUDSDK_*"),
        *("AZURE_*", "*_CONFIG_FILE", "*_CONFIG_PATH", "*_CONFIG_DIR", "*_HOME", "*_TMPDIR", "DBUS_*"),
        *("TERMINFO*", "TERMCAP", "KUBECONFIG", "AWS_*", "GOOGLE_APPLICATION_CREDENTIALS", "DOCKER_*"),
        *("COVERAGE_*", "MPLBACKEND", "MPLCONFIGDIR", "GNUPGHOME", "WGETRC", "LDAPCONF", "LDAPRC", "SASL_*"),
        *("COMPOSE_*", "PIP_*", "UV_*", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "LDSHARED", "MAKE*"),
        *("CPP", "CPPFLAGS", "AR", "ARFLAGS", "ARCHFLAGS", "MAILCAPS"),
        *("CXXCPP", "FFLAGS", "FCFLAGS", "F77", "LD", "LDLIBS", "RANLIB", "CPATH", "*_INCLUDE_PATH", "GCC_*"),
        *("COMPILER_PATH", "COLLECT_GCC*", "PKG_CONFIG*", "CMAKE_*", "ACLOCAL_PATH", "CCACHE_*", "DISTCC_*"),
        # A browser or another program that a library starts.
        *(
            "*_EXECUTABLE",
            "*_EXECUTABLE_PATH",
            "*_BIN",
            "*_BINARY",
            "CHROME_*",
            "CHROMEDRIVER*",
            "SE_DRIVER*",
        ),
        *("PLAYWRIGHT_*", "PUPPETEER_*", "WDM_*", "AUTOSSH_*", "LYNX_*", "FONTCONFIG_*", "GPG_*"),
        *("TAR_OPTIONS", "GZIP", "XZ_*", "*_RSH", "*_SSH", "HGRCPATH", "NIX_*", "LESS", "MANPAGER", "VIM*"),
        *("EXINIT", "INPUTRC", "MAGIC*", "TEXTDOMAINDIR", "RANDFILE", "TMPPREFIX", "DISPLAY", "XAUTHORITY"),
    ),
    mark("which certificates connections trust"): (
        *("SSL*", "CURL_*", "*_CA_BUNDLE", "*_CA", "*_CAFILE", "*_CERT", "*_CERTS", "*_CERT_*"),
        *("*_VERIFY", "*_VERIFY_*", "*_INSECURE", "*SSLMODE", "*SSLROOTCERT", "*REQUIRESSL", "P11_*"),
        *("NSS_*", "GNUTLS_*", "GRPC_*", "LDAPTLS_*", "CTLOG_FILE", "*KEYLOG*"),
    ),
    # With REQUEST_METHOD, urllib and requests leave HTTP_PROXY out.
    mark("proxies"): ("*PROXY*", "SOCKS*", "*TSOCKS*", "TORSOCKS*", "REQUEST_METHOD"),
    mark("addresses"): (
        *("*URL", "*URI", "*HOST", "*ENDPOINT", "SERVER", "*_SERVER", "*_URLS", "*_HOSTS", "*_ENDPOINTS"),
        *("*HOSTNAME", "PG*", "MYSQL_*", "ADDR", "*_ADDR", "*_ADDRS", "*_GATEWAY", "*_ORIGIN", "*_BROKERS"),
        *("*_SERVERS", "RPC", "*_RPC", "WS", "*_WS", "WSS", "*_WSS", "*_URL_*", "*_DOMAIN", "DSN", "*_DSN"),
        *("HOSTALIASES", "LOCALDOMAIN", "RES_*", "RESOLV_*", "NIS_*", "HES_*", "HESIOD_*", "*_BUS_ADDRESS"),
        *("HOSTS", "URLS", "ENDPOINTS", "SERVERS", "GATEWAY", "ORIGIN", "DOMAIN", "UPSTREAM", "*_UPSTREAM"),
        *("API_BASE", "*_API_BASE", "API_ROOT", "*_API_ROOT", "WS_BASE", "URL_BASE", "*_REST_API"),
        *("*_PROVIDER", "GCE_METADATA_*", "*_RELAY", "*WEBHOOK*", "*CONNECTION_STRING", "*_SENTINELS"),
        *("*_NODENAME", "*_QUORUM", "*_BOOTSTRAP", "*_SEED_NODES"),
    ),
}
"""What is steered → patterns of upper-case names, with a `*` at either end or at both.

A name counts in any case, because `http_proxy` works, and one of several as the one: `REST_URL2`, `RPC_1`.
"""
NUMBER_OR_VERSION = late_pattern(r"(_?V?[0-9]+)+$")

HARMLESS = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
"""What only says how the interpreter writes: old configs set it, as images do."""

ADDRESS = late_pattern(
    r"""(?x)
    [A-Za-z][A-Za-z0-9+.-]*://      # https://…, redis://…, module://…
    | (?i:https?|wss?|file):        # https:host, which browsers and Node read as https://host
    | //[^/]                        # an address without its scheme
    | [0-9]{1,3}(\.[0-9]{1,3}){3}(?![0-9.])     # a number of a host
    | \[?[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){0,6}::
    | ( \[[0-9A-Fa-f:.]+\]          # a host, and its port
      | localhost
      | [A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.[A-Za-z]{2,} ) :[0-9]{1,5}(?![0-9:])
    """
)
"""How a value begins, or a part of one, that is an address whatever its variable is called."""
PARTS = late_pattern(r"""[\s,;|="'`(){}<>@]+""")
"""What stands between the parts of a value."""
WITH_SCHEME = late_pattern(r"[A-Za-z][A-Za-z0-9+.-]*://")

CREDENTIALS = (
    *("KEY", "API_KEY", "KEY_ID", "API_KEY_ID", "SECRET", "SECRET_KEY", "API_SECRET", "PRIVATE_KEY"),
    *("PUBLIC_KEY", "API_PRIVATE_KEY", "API_KEY_PRIVATE_KEY", "PASSPHRASE", "API_PASSPHRASE", "PASSWORD"),
    *("API_PASSWORD", "SEED", "SEEDS", "ZK_SEEDS", "OMNI_KEY", "ADDRESS", "WALLET_ADDRESS"),
    *("ACCOUNT_ADDRESS", "SIGNER_ADDRESS", "L1_ADDRESS", "ACCOUNT", "ACCOUNT_ID", "ACCOUNT_INDEX"),
    *("API_KEY_INDEX", "KEY_INDEX", "SUBACCOUNT", "SUBACCOUNT_ID", "SIGNER_LIBRARY"),
)
"""What follows an exchange's name in the names of its credentials: `BACKPACK_` + `API_KEY`."""


def steered_by(name: str) -> str | None:
    """Return what this variable steers, as a translatable text; None for one that steers nothing."""
    upper = name.upper()
    if upper in HARMLESS:
        return None
    names = {upper, NUMBER_OR_VERSION.sub("", upper)}
    for target, patterns in STEERING.items():
        if any(_matches(one, pattern) for pattern in patterns for one in names):
            return target
    return None


def steered_with(name: str, value: str) -> str | None:
    """Return what this variable steers with this value: also an address under a name that tells nothing."""
    if (steered := steered_by(name)) is not None:
        return steered
    parts = {
        address for part in PARTS.split(value) for address in (part, part.lstrip("["))
    }  # of a list, of an IPv6
    return "addresses" if WITH_SCHEME.search(value) or any(map(ADDRESS.match, parts)) else None


def _matches(name: str, pattern: str) -> bool:
    """Return whether the pattern fits. `fnmatch` would compile an expression for each, 5 ms in all."""
    text = pattern.strip("*")
    match pattern.startswith("*"), pattern.endswith("*"):
        case True, True:
            return text in name
        case True, False:
            return name.endswith(text)
        case False, True:
            return name.startswith(text)
    return name == text


def is_known_address(text: str, exchange: str) -> bool:
    """Return whether the text is an encrypted address of this exchange's own API."""
    from urllib.parse import urlsplit  # a config without addresses does without

    try:
        url = urlsplit(text)
        is_plain = url.port in {None, 443} and url.username is None and url.password is None
    except ValueError:
        return False
    # Clients disagree on what a backslash or a blank in an address means.
    is_plain = is_plain and re.fullmatch(r"[\w.:/-]+", text, re.ASCII) is not None
    known = EXCHANGES.get(exchange.lower())
    return is_plain and url.scheme in {"https", "wss"} and known is not None and url.hostname in known.hosts


def belongs_to(name: str, exchange: str) -> bool:
    """Return whether this is one of a known exchange's own variables: a credential, or its address."""
    if exchange.lower() not in EXCHANGES:
        return False  # else a config would choose the prefix of any secret
    own, prefix = name.removeprefix(f"{exchange.upper()}_"), f"{exchange.upper()}_"
    is_address = name in {"BASE_URL", f"{prefix}BASE_URL", f"{prefix}API_URL"}
    return is_address or (name.startswith(prefix) and own in CREDENTIALS)
