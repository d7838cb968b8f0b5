"""Check the project: configs, files, and the fleet's containers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from manager.engine.labels import is_contract, is_known_contract
from manager.i18n import Text
from manager.monitor.doctor import checks_drift, checks_requests, checks_supervisors
from manager.monitor.doctor.facts import (
    ClientFacts,
    EgressFacts,
    Facts,
    FleetFacts,
    InstanceFacts,
    ProjectFacts,
    StaleFile,
)
from manager.monitor.doctor.findings import Finding, fail, ok, warn
from manager.util import formatting

LOCK_WARN_S = 600
"""No command holds the lock this long: the slowest stop takes two minutes."""
UNHEALTHY_STATES = frozenset({"failed", "unhealthy", "restarting"})

STALE = {
    "temporary": Text("{path}: temporary file of a killed process, {size}"),
    "staged": Text("{path}: unused env file that contains credentials, {size}"),
    "before-restore": Text("{path}: moved aside by a restore, {size}"),
    "interrupted": Text("{path}: interrupted restore, {size}"),
    "unconfigured": Text("{path}: belongs to an instance without a config, {size}"),
}


def check_all(facts: Facts) -> Iterator[Finding]:
    """Yield all findings about the project."""
    yield packages(facts.client)
    if facts.files is None:
        yield fail(
            "configs",
            Text("{why}", why=facts.project_fault),
            Text("fix it, then run `manager config --check`"),
        )
        return
    yield from configs(facts.files)
    yield from address(facts.files)
    yield from ports(facts.files)
    yield from read_only(facts.files)
    yield from owners(facts.files)
    yield from dotenv(facts.files)
    yield from variables(facts.files)
    yield from compose_yaml(facts.files)
    yield from secrets(facts.files)
    yield from lock(facts.files)
    yield from stale(facts.files.stale)
    if facts.fleet is not None:
        yield from fleet(facts.fleet)
        if facts.fleet.egress is not None:
            yield egress(facts.fleet.egress)


def egress(facts: EgressFacts) -> Finding:
    """Check that the firewall limits what the bots reach, as config/fleet.toml asks."""
    if not facts.is_in_force:
        return fail(
            "egress",
            Text("[container] egress is not in force: {why}", why=facts.why),
            Text("run `manager up` as root, and keep `manager watch` running as root"),
        )
    return ok("egress", Text("bots reach only what [container] egress allows"))


def packages(client: ClientFacts) -> Finding:
    """Check that the packages the manager requires are installed."""
    text = Text("Python {version}", version=client.python)
    if client.missing_packages:
        names = ", ".join(client.missing_packages)
        return fail(
            "python",
            Text("Python {version}; missing: {names}", version=client.python, names=names),
            Text("install botfleet again: `pipx reinstall botfleet`, or as it was installed")
            if client.is_from_wheel
            else Text("run `make clean`, then `make up`"),
        )
    return ok("python", text)


def configs(files: ProjectFacts) -> Iterator[Finding]:
    """Report each problem of the configs; nothing starts while there is one."""
    for problem in files.problems:
        yield fail(
            "configs",
            Text("{why}", why=problem),
            Text("fix it, then run `manager config --check`"),
        )
    for problem in files.refused_by_bot:
        yield warn(
            "configs",
            Text("{why}", why=problem),
            Text("fix it, then run `manager config --check`"),
        )
    if not files.problems and files.configs:
        yield ok("configs", Text("{count} configs are valid", count=files.configs))
    elif not files.problems:
        yield warn(
            "configs",
            Text("no configs found"),
            Text("create one with `manager new`; config/templates has examples"),
        )


def ports(files: ProjectFacts) -> Iterator[Finding]:
    """Report web ports that other programs use."""
    taken = [port for port in files.ports if not port.is_free and not port.is_ours]
    for port in taken:
        yield fail(
            "ports",
            Text("{id}: port {port} is in use by another program", id=port.instance, port=port.number),
            Text(
                "find it with `ss -ltnp sport = {port}`, or set a different web_port in the config",
                port=port.number,
            ),
        )
    if files.ports and not taken:
        yield ok(
            "ports", Text("{count} web ports are free or used by their own instances", count=len(files.ports))
        )


def address(files: ProjectFacts) -> Iterator[Finding]:
    """Report an address at which no web port can be published, so that no container starts."""
    if files.bind_fault:
        yield fail(
            "address",
            Text("bind_address {address}: {why}", address=files.bind_address, why=files.bind_fault),
            Text("set bind_address in config/fleet.toml to an address that `ip address` shows"),
        )


def read_only(files: ProjectFacts) -> Iterator[Finding]:
    """Report folders that nothing can be written to: neither states nor desired states nor databases."""
    for path in files.read_only:
        yield fail(
            "read-only",
            Text("{path} is on a file system that is mounted read-only", path=path),
            Text("`dmesg` says why if nobody did that: a failing disk; then `mount -o remount,rw`"),
        )


def owners(files: ProjectFacts) -> Iterator[Finding]:
    """Check that the folders belong to the user that the bots run as."""
    if files.data is None:
        return
    if files.data.mode & 0o002:
        yield warn(
            "owners",
            Text("{path} is world-writable", path=files.data.path),
            Text("run `chmod o-w {path}`", path=quote(files.data.path)),
        )
    foreign = [
        folder for folder in files.databases if files.bot_uid is not None and folder.uid != files.bot_uid
    ]
    for folder in foreign:
        yield warn(
            "owners",
            Text(
                "{path} belongs to uid {uid}, but the bots run as uid {wanted}",
                path=folder.path,
                uid=folder.uid,
                wanted=files.bot_uid,
            ),
            Text(
                "run `chown -R {wanted} {path}`, or `manager up` as root",
                path=quote(folder.path),
                wanted=files.bot_uid,
            ),
        )
    if not foreign:
        yield ok("owners", Text("folders belong to the bots' user (uid {uid})", uid=files.bot_uid))


def dotenv(files: ProjectFacts) -> Iterator[Finding]:
    """Check that only its owner can read the file of credentials."""
    if files.dotenv is None:
        return
    if files.dotenv.mode & 0o077:
        yield warn(
            "dotenv",
            Text("{path} is readable by other users", path=files.dotenv.path),
            Text("run `chmod 600 {path}`", path=quote(files.dotenv.path)),
        )
    else:
        yield ok("dotenv", Text("{path} is readable by its owner only", path=files.dotenv.path))


def variables(files: ProjectFacts) -> Iterator[Finding]:
    """Check that the settings do not hand all variables to the bots or to strangers' configs."""
    what = {
        "variables": Text("every bot is given all variables of .env and of the manager's environment"),
        "config_variables": Text(
            "each config may give its bot every variable of .env, whosever secret it is"
        ),
    }
    for key in files.unlimited:
        yield warn(
            "variables",
            Text("{key} in config/fleet.toml fits every name: {what}", key=key, what=what[key]),
            Text("name there those that are needed"),
        )


def compose_yaml(files: ProjectFacts) -> Iterator[Finding]:
    """Check that `docker compose` in this folder acts on this fleet and no other."""
    if files.compose_name not in ("", files.fleet):
        yield fail(
            "compose-name",
            Text(
                "compose.yaml is that of fleet {other}: `docker compose` here stops the bots of that fleet",
                other=files.compose_name,
            ),
            Text("run `manager compose`"),
        )
    if files.compose_variable not in ("", files.fleet):
        yield fail(
            "compose-name",
            Text(
                "COMPOSE_PROJECT_NAME={other}: `docker compose` here acts on fleet {other}, not on {fleet}",
                other=files.compose_variable,
                fleet=files.fleet,
            ),
            Text("remove the variable from .env and from the environment"),
        )
    yield from _counted(
        "compose-outdated",
        files.compose_outdated,
        Text("are not in compose.yaml as their configs say: `docker compose up -d` would undo their changes"),
        Text("run `manager compose`"),
    )
    yield from _counted(
        "compose-absent",
        files.compose_absent,
        Text("have no service in compose.yaml: `docker compose` does not know them"),
        Text("run `manager compose`"),
    )


def secrets(files: ProjectFacts) -> Iterator[Finding]:
    """Check that the folders are 0700 and the env files 0400, as `up` creates them."""
    exposed = [item for item in files.secrets if item.mode & 0o077]
    for item in exposed:
        yield fail(
            "secrets",
            Text("{path} is readable by other users (mode {mode})", path=item.path, mode=f"{item.mode:04o}"),
            Text(
                "run `chmod go= {path}`, and replace the keys: they may have been read", path=quote(item.path)
            ),
        )
    if files.secrets and not exposed:
        yield ok(
            "secrets",
            Text(
                "{count} env files and folders are readable by the bots' user only", count=len(files.secrets)
            ),
        )


def lock(files: ProjectFacts) -> Iterator[Finding]:
    """Report who holds the fleet's lock, and for how long."""
    if files.lock_held_by and files.lock_held_s > LOCK_WARN_S:
        yield warn(
            "lock",
            Text(
                "{holder} has held the fleet's lock for {age}",
                holder=files.lock_held_by,
                age=formatting.elapsed(files.lock_held_s),
            ),
            Text("see what process {pid} does; `kill {pid}` ends it and frees the lock", pid=files.lock_pid)
            if files.lock_pid
            else Text("another user's process holds it: run `manager doctor` as root, which names it"),
        )
    elif files.lock_held_by:
        yield ok("lock", Text("{holder} holds the fleet's lock", holder=files.lock_held_by))
    else:
        yield ok("lock", Text("the fleet's lock is free"))


def stale(files: tuple[StaleFile, ...]) -> Iterator[Finding]:
    """Report stale files with their size. They are never removed, because they may be the only copy."""
    for file in files:
        text = Text(STALE[file.kind].message, path=file.path, size=formatting.file_size(file.size))
        remedy = (
            Text("run the same `manager restore` command again")
            if file.kind == "interrupted"
            else Text("remove it if you no longer need it")
        )
        yield warn("stale", text, remedy)
    if not files:
        yield ok("stale", Text("no stale files"))


def fleet(facts: FleetFacts) -> Iterator[Finding]:
    """Yield the findings about the fleet's containers."""
    yield image(facts)
    for text in facts.foreign:
        yield fail("foreign", Text("{why}", why=text), Text("use each fleet name in one project folder only"))
    for text in facts.old_daemon:
        yield fail("old-daemon", Text("{why}", why=text), Text("see docs/migration.md"))
    yield from checks_drift.check_all(facts)
    yield from checks_supervisors.check_all(facts)
    yield from checks_requests.check_all(facts.requests)
    yield from checks_requests.refusals(facts.refusals)
    yield from _counted(
        "orphans",
        facts.orphans,
        Text("have no config"),
        Text("run `manager down {ids}`: it removes these alone", ids=" ".join(facts.orphans)),
    )
    yield from _counted(
        "strays",
        facts.unexpected,
        Text("unexpected containers with the labels of an instance"),
        Text("remove them with `docker rm -f {names}`", names=" ".join(facts.unexpected)),
    )
    unhealthy = [
        instance
        for instance in facts.instances
        if instance.state in UNHEALTHY_STATES or instance.exited_unexpectedly
    ]
    for instance in unhealthy:
        why = Text("{id} is {state}: {why}", id=instance.id, state=Text(instance.state), why=instance.why)
        if instance.state == "stopped":  # of those, only what nobody has asked for is here
            why = Text(
                "{id} was stopped, but not by the manager: {why}", id=instance.id, why=instance.why or "?"
            )
        yield warn("instances", why, _remedy(instance))
    if not unhealthy and facts.instances:
        running = sum(instance.state == "running" for instance in facts.instances)
        yield ok(
            "instances",
            Text(
                "{running} of {count} instances are running, none is failed or unhealthy",
                running=running,
                count=len(facts.instances),
            ),
        )


def _remedy(instance: InstanceFacts) -> Text:
    """Return what mends an instance that does not run well, or tells why it does not."""
    if instance.suspended:
        return Text("`docker unpause {name}` resumes it", name=instance.suspended)
    if instance.exited_unexpectedly:
        return Text("see `manager logs {id}`; `manager up {id}` starts it", id=instance.id)
    if instance.state == "failed":
        return Text("see `manager logs {id}`; `manager start {id}` tries again", id=instance.id)
    return Text("see `manager logs {id}`", id=instance.id)


def image(facts: FleetFacts) -> Finding:
    """Check that the image exists and contains the supervisor."""
    if facts.image_contract is None:
        return fail(
            "image", Text("image {image} does not exist", image=facts.image), Text("run `manager build`")
        )
    contract = facts.image_contract
    if not is_contract(contract):
        return fail(
            "image",
            Text("image {image} does not contain the botfleet supervisor", image=facts.image),
            Text("run `manager build --bot DIR`"),
        )
    if not is_known_contract(contract):
        return fail(
            "image",
            Text(
                "image {image} uses contract version {contract}, which this manager does not support",
                image=facts.image,
                contract=contract,
            ),
            Text("update the manager, or run `manager build`"),
        )
    return ok("image", Text("image {image}", image=facts.image))


def _counted(
    check: str, names: list[str] | tuple[str, ...], problem: Text, remedy: Text
) -> Iterator[Finding]:
    if names:
        yield warn(check, Text("{names}: {what}", names=", ".join(names), what=problem), remedy)
