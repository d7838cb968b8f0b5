"""Load the files of config/active as `InstanceSpec`s, and report every problem of every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from manager.config import bot_refusals, handover, spec, validation_messages
from manager.config.bot_argv import GRIDS
from manager.config.exchanges import EXCHANGES
from manager.config.flat_format import convert_legacy, is_legacy
from manager.config.fleet import Fleet
from manager.config.loaded import LoadedConfigs, LoadedFile, config_name, is_config, resembles_config
from manager.config.models import BUNDLED_STRATEGIES, ID_PATTERN, ID_RULE, InstanceConfig
from manager.config.spec import InstanceSpec
from manager.config.variables import UnsetVariable, expand, is_reference, is_secret, references, scalar_values
from manager.errors import ConfigError, Problem
from manager.util import strict_json

OWN_FILES = frozenset({"fleet.json", "fleet.lock", "compose-hashes.json", "instances.json"})
"""Names of botfleet's own files in folders that also hold instance folders; in lower case."""


def load(
    fleet: Fleet, defaults: Mapping[str, Any], variables: Mapping[str, str], ids: Mapping[str, str]
) -> LoadedConfigs:
    """Load config/active. Raises ConfigError when the folder cannot be read.

    `defaults`: the fleet's defaults for daemon_config. `ids`: config file → the id given by `--instance-id`.
    """
    try:
        paths = sorted(path for path in fleet.config_dir.iterdir() if resembles_config(path.name))
    except FileNotFoundError:
        paths = []
    except OSError as error:
        folder = fleet.relative(fleet.config_dir)
        raise ConfigError(
            [Problem.at(folder, "", "cannot be read: {why}", why=error.strerror or error)]
        ) from error
    files = tuple(load_file(path, fleet, defaults, variables, ids) for path in paths if is_config(path.name))
    ignored = tuple(_ignored(fleet, [path for path in paths if not is_config(path.name)]))
    return LoadedConfigs(files, tuple(conflicts(list(LoadedConfigs(files).specs))), ignored)


def _ignored(fleet: Fleet, paths: list[Path]) -> Iterator[Problem]:
    """Yield what is not loaded: one warning for all names that begin with a dot, one for each other file."""
    if hidden := [path.name for path in paths if path.name.startswith(".")]:
        yield Problem.at(
            fleet.relative(fleet.config_dir),
            "",
            "ignores files whose names begin with a dot: {names}",
            names=", ".join(hidden),
        )
    for path in paths:
        if not path.name.startswith("."):
            yield Problem.at(
                fleet.relative(path),
                "",
                "is ignored: rename it to {name} if it is a config",
                name=config_name(path.name),
            )


def load_file(
    path: Path,
    fleet: Fleet,
    defaults: Mapping[str, Any],
    variables: Mapping[str, str],
    ids: Mapping[str, str],
) -> LoadedFile:
    """Load one file. Faults in it are reported in the result, not raised."""
    file = fleet.relative(path)
    try:
        raw = strict_json.read(path)
    except strict_json.JsonFault as fault:
        return LoadedFile(file, problems=(Problem(file, fault.path, fault.text),))
    return load_value(raw, file, fleet, defaults, variables, ids)


def load_value(
    raw: object,
    file: str,
    fleet: Fleet,
    defaults: Mapping[str, Any],
    variables: Mapping[str, str],
    ids: Mapping[str, str],
) -> LoadedFile:
    """Load the JSON value of one file, which need not exist yet."""
    secrets = tuple(clear_text_secrets(file, raw))
    config = validate(raw, file, defaults, variables, fleet)
    if isinstance(config, list):
        return LoadedFile(file, problems=(*secrets, *config), is_constant=False)
    assert isinstance(raw, dict)
    is_constant = not _has_references(raw)
    instance_id = ids.get(file) or config.metadata.instance_id or Path(file).stem
    problems = [*secrets, *id_faults(file, instance_id), *_faults(file, config, instance_id, fleet)]
    if problems:
        return LoadedFile(file, problems=tuple(problems), is_constant=is_constant)
    built = spec.build(config, instance_id, file, fleet)
    return LoadedFile(
        file,
        spec=built,
        described=described(config),
        warnings=(*_warnings(file, config), *_of_bundled_bot(file, config, built, fleet)),
        refusals=tuple(handover.refusals(file, raw, config, fleet)),
        is_constant=is_constant,
        config_hash=None if built.web_port is None else spec.config_hash(built, fleet),
        elsewhere=config.host if config.host and config.host != fleet.host_name else "",
    )


def validate(
    raw: object, file: str, defaults: Mapping[str, Any], variables: Mapping[str, str], fleet: Fleet
) -> InstanceConfig | list[Problem]:
    """Return a file's JSON value as a config, or the problems of its form."""
    if not isinstance(raw, dict):
        return [Problem.at(file, "", "must be an object {{…}}")]
    sections = convert_legacy(raw) if is_legacy(raw) else raw
    expanded, problems = _expanded(sections, file, variables, fleet)
    if problems:
        return problems
    daemon = expanded.get("daemon_config")
    if isinstance(daemon, dict) or daemon is None:
        own = {key: value for key, value in (daemon or {}).items() if value is not None}
        expanded["daemon_config"] = {**defaults, **own}
    try:
        return InstanceConfig.model_validate(expanded)
    except ValidationError as error:
        return validation_messages.problems(file, InstanceConfig, error)


def conflicts(specs: list[InstanceSpec]) -> Iterator[Problem]:
    """Yield a problem where two configs share an id, web port, log folder or database."""
    ids: dict[str, InstanceSpec] = {}
    ports: dict[int, InstanceSpec] = {}
    databases: dict[str, InstanceSpec] = {}
    folders = {f"database/{instance.id.lower()}": instance for instance in specs}
    for instance in specs:
        yield from _shared(instance, "metadata.instance_id", instance.id, ids, instance.id.lower())
        if instance.web_port is not None:
            yield from _shared(
                instance, "daemon_config.web_port", instance.web_port, ports, instance.web_port
            )
        yield from _shared(
            instance, "daemon_config.db_path", instance.db_path, databases, instance.db_path.lower()
        )
        if owner := folders.get(instance.db_path.lower()):
            yield Problem.at(
                instance.config_file,
                "daemon_config.db_path",
                "{value} is the database folder of {other}",
                value=instance.db_path,
                other=owner.config_file,
            )
    yield from _shared_folders(specs)


def _shared(
    instance: InstanceSpec, path: str, value: object, seen: dict[Any, InstanceSpec], key: object
) -> Iterator[Problem]:
    first = seen.setdefault(key, instance)
    if first is not instance:
        yield Problem.at(
            instance.config_file,
            path,
            "{value} is also used by {other}",
            value=value,
            other=first.config_file,
        )


def _shared_folders(specs: list[InstanceSpec]) -> Iterator[Problem]:
    """Report log folders inside each other, which would let one instance read the other's logs."""
    outer: InstanceSpec | None = None
    for inner in sorted(specs, key=lambda instance: f"{instance.log_dir}/"):
        if outer is None or not f"{inner.log_dir}/".startswith(f"{outer.log_dir}/"):
            outer = inner
        else:
            yield Problem.at(
                inner.config_file,
                "daemon_config.log_dir",
                "{value} is also used by {other}",
                value=inner.log_dir,
                other=outer.config_file,
            )


def _expanded(
    sections: dict[str, Any], file: str, variables: Mapping[str, str], fleet: Fleet
) -> tuple[dict[str, Any], list[Problem]]:
    """Replace `${…}` outside the sections of credentials, which describes containers made by older versions.

    A credential referenced anywhere else is a problem: it would end up in a label or an argument. What only
    config/fleet.toml declares a secret stays as it is written.
    """
    problems: list[Problem] = []

    def walk(value: Any, path: str, below_secret: bool) -> Any:
        if isinstance(value, dict):
            return {
                key: walk(item, f"{path}.{key}", below_secret or is_secret(key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [walk(item, f"{path}[{index}]", below_secret) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        for name, _default in references(value):
            if below_secret or is_secret(name):
                problems.append(
                    Problem.at(
                        file,
                        path,
                        "references the credential {name}, which is only allowed in exchange_config",
                        name=name,
                    )
                )
                return value
        if any(fleet.is_declared_secret(name) for name, _default in references(value)):
            return value
        try:
            return expand(value, variables)
        except UnsetVariable as unset:
            problems.append(
                Problem.at(
                    file, path, "{name} is not set; set it in .env or in the environment", name=unset.name
                )
            )
            return value

    result = {
        key: value if key in handover.SECTIONS else walk(value, key, is_secret(key))
        for key, value in sections.items()
    }
    return result, problems


def _has_references(raw: object) -> bool:
    """Return whether the file's meaning depends on variables.

    Credentials do not count: no spec contains their values.
    """
    assert isinstance(raw, dict)
    sections = [section for key, section in raw.items() if key not in handover.SECTIONS]
    return any("${" in scalar.text for scalar in scalar_values(sections))


def id_faults(file: str, instance_id: str) -> Iterator[Problem]:
    """Yield why this id is not allowed."""
    if not ID_PATTERN.fullmatch(instance_id):
        yield Problem.at(file, "metadata.instance_id", ID_RULE)
    elif instance_id.lower() in OWN_FILES:
        yield Problem.at(
            file,
            "metadata.instance_id",
            "{value} is the name of one of botfleet's own files",
            value=instance_id,
        )


def _faults(file: str, config: InstanceConfig, instance_id: str, fleet: Fleet) -> Iterator[Problem]:
    yield from _secrets_in_args(file, config)
    yield from _path_faults(file, config, instance_id)
    if not fleet.is_bundled_bot or config.bot_args is not None:
        return
    yield from validation_messages.misspelt_keys(file, config.strategy_config, "strategy_config.")
    yield from _grid_faults(file, config)
    for key, value, allowed in (
        ("exchange", config.metadata.exchange, EXCHANGES),
        ("strategy", config.metadata.strategy, BUNDLED_STRATEGIES),
    ):
        if value not in allowed:
            yield Problem.at(
                file,
                f"metadata.{key}",
                "must be one of {allowed}, not “{value}”; to use your own bot, set bot_dir in "
                "config/fleet.toml",
                allowed=", ".join(allowed),
                value=value,
            )


def _grid_faults(file: str, config: InstanceConfig) -> Iterator[Problem]:
    """Require both bounds for the bundled bot's grid, except without strategy_config, the old short form."""
    strategy = config.strategy_config
    if config.metadata.strategy not in GRIDS or not strategy.model_fields_set:
        return
    for names in (("grid_upper_price", "grid_upper"), ("grid_lower_price", "grid_lower")):
        if all(getattr(strategy, name) is None for name in names):
            yield Problem.at(file, f"strategy_config.{names[0]}", "is missing: a grid needs both bounds")


def clear_text_secrets(file: str, raw: object) -> Iterator[Problem]:
    """Require `${NAME}` below a key that names a secret, in every section and at any depth.

    A number counts as a password only in exchange_config; elsewhere it is a strategy's `seed` or `max_keys`.
    """
    for path, text, below_secret, is_number in scalar_values(raw):
        if is_number and not path.startswith("exchange_config."):
            continue
        has_default = any(is_secret(name) and default for name, default in references(text))
        if has_default or (below_secret and text and not is_reference(text)):
            yield Problem.at(
                file, path, "contains a credential in clear text; write ${{NAME}} here and NAME=… in .env"
            )


def _secrets_in_args(file: str, config: InstanceConfig) -> Iterator[Problem]:
    for index, argument in enumerate(config.bot_args or ()):
        if argument.startswith("-") and is_secret(argument.partition("=")[0]):
            yield Problem.at(
                file,
                f"bot_args[{index}]",
                "passes a credential as an argument, which any user can read; use environment and ${{NAME}}",
            )


def _path_faults(file: str, config: InstanceConfig, instance_id: str) -> Iterator[Problem]:
    """Keep logs below logs/ and databases in database/, so that no config names another instance's folder."""
    log_dir, db_path = config.daemon_config.log_dir, config.daemon_config.db_path
    is_shared = log_dir in {None, spec.SHARED_LOG_DIR}
    if (
        log_dir is not None
        and not is_shared
        and (not _is_below("logs", log_dir) or log_dir.split("/")[1] in OWN_FILES)
    ):
        yield _outside(file, "daemon_config.log_dir", "logs/bp_sol_01", log_dir)
    if db_path is not None and not _is_below("database", db_path):
        yield _outside(file, "daemon_config.db_path", "database/bp_sol_01.db", db_path)
    elif db_path is not None and db_path.split("/")[1:-1] not in ([], [instance_id]):
        yield _outside(file, "daemon_config.db_path", f"database/{instance_id}.db", db_path)


def _is_below(top: str, path: str) -> bool:
    first, *rest = path.split("/")
    return (
        first == top and bool(rest) and not any(part in {"", ".", ".."} for part in rest) and len(path) <= 200
    )


def _outside(file: str, path: str, example: str, value: str) -> Problem:
    return Problem.at(
        file, path, "must be a path such as {example}, not “{value}”", example=example, value=value[:80]
    )


def _warnings(file: str, config: InstanceConfig) -> Iterator[Problem]:
    yield from validation_messages.unknown_keys(file, config)
    if config.bot_args is None:
        yield from validation_messages.keys_not_traded(file, config.metadata.strategy, config.strategy_config)
    if config.daemon_config.log_dir == spec.SHARED_LOG_DIR:
        yield Problem.at(
            file,
            "daemon_config.log_dir",
            "the shared folder logs is replaced by logs/ID, one folder per instance",
        )


def _of_bundled_bot(
    file: str, config: InstanceConfig, built: InstanceSpec, fleet: Fleet
) -> Iterator[Problem]:
    """Warn of what the bundled bot will not start with, or not do. It is no fault: what ran before is still
    started.
    """
    if fleet.is_bundled_bot:
        is_flat, is_live = config.bot_args is not None, built.mode == "live"
        if not is_flat:
            yield from validation_messages.range_not_watched(
                file, config.metadata.strategy, config.strategy_config
            )
        yield from bot_refusals.problems(file, built.command, is_flat=is_flat, is_live=is_live)


def described(config: InstanceConfig) -> dict[str, Any]:
    """Return a config as it may be shown: credentials only as the `${NAME}` in the file."""
    return config.model_dump(mode="json", exclude_none=True, exclude={"$schema"})
