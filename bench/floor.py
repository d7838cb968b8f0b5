"""Run the same containers without the manager: through the bare API, and as lines for the docker CLI."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.engine import Api
from bench.project import Project
from bench.shell import run
from manager.config.spec import config_hash
from manager.engine import container_config, labels
from manager.fleet import host
from manager.fleet import project as projects

BEST_GUESS = 8
NANO = 1_000_000_000

Bodies = dict[str, dict[str, Any]]


def bodies(project: Project, api: Api) -> Bodies:
    """Return container name → the body that the manager sends for it."""
    read = projects.read(project.folder)
    uid, gid = host.bot_owner(read.fleet.data_dir)
    image_id = str(api.call("GET", f"/images/{project.image}/json")["Id"])
    bodies = {}
    for instance, spec in read.specs.items():
        place = container_config.HostContext(
            uid=uid,
            gid=gid,
            owner=(uid, gid),
            image_id=image_id,
            compose_hash=config_hash(spec, read.fleet),
            api_version=api.version,
        )
        bodies[read.fleet.container_name(instance)] = container_config.body(spec, read.fleet, place)
    return bodies


def up(project: Project, api: Api, wanted: Bodies, parallelism: int) -> list[str]:
    """Make the network, create and start every container. Return their ids."""
    create_network(project, api)

    def create_and_start(name: str) -> str:
        made = api.create(name, wanted[name])
        api.start(made)
        return made

    return _in_parallel(create_and_start, wanted, parallelism)


def create_network(project: Project, api: Api) -> None:
    """Create the fleet's network as the manager makes it."""
    body = {
        "Name": f"{project.name}_default",
        "Driver": "bridge",
        "Labels": labels.of_network(project.name),
        "Options": dict(container_config.NETWORK_OPTIONS),
    }
    api.call("POST", "/networks/create", body)


def down(project: Project, api: Api, made: Iterable[str], parallelism: int) -> None:
    """Stop and remove them, and the network."""
    _in_parallel(api.stop_and_remove, made, parallelism)
    api.call("DELETE", f"/networks/{project.name}_default")


def _in_parallel(work: Callable[[str], Any], items: Iterable[str], parallelism: int) -> list[Any]:
    with ThreadPoolExecutor(max_workers=parallelism) as pool:
        return list(pool.map(work, items))


def write_scripts(project: Project, wanted: Bodies) -> Path:
    """Return a folder with one `docker run` script a container, and `network` for what they share."""
    folder = project.folder / "cli"
    folder.mkdir(exist_ok=True)
    options = [f"--opt={key}={value}" for key, value in container_config.NETWORK_OPTIONS.items()]
    options += [f"--label={key}={value}" for key, value in labels.of_network(project.name).items()]
    network = ["docker", "network", "create", *options, f"{project.name}_default"]
    (folder / "network").write_text(f"exec {shlex.join(network)} >/dev/null\n")
    for name, body in wanted.items():
        (folder / f"run-{name}").write_text(f"exec {shlex.join(docker_run(name, body))} >/dev/null\n")
    return folder


def cli_loop(folder: Path) -> float:
    """Call `docker run` one after the other. Return the seconds."""
    return run(["sh", "-ec", "sh ./network; for each in run-*; do sh ./$each; done"], cwd=folder).seconds


def cli_xargs(folder: Path, parallelism: int) -> float:
    """Call `docker run` through xargs -P. Return the seconds."""
    script = f"sh ./network; ls run-* | xargs -P {parallelism} -n 1 sh"
    return run(["sh", "-ec", script], cwd=folder).seconds


def docker_run(name: str, body: dict[str, Any]) -> list[str]:
    """Return the `docker run -d` that makes what this body makes."""
    settings = body["HostConfig"]
    ((port, (binding,)),) = settings["PortBindings"].items()
    words = [
        "docker",
        "run",
        "-d",
        "--pull=never",
        "--init",
        "--read-only",
        f"--name={name}",
        f"--hostname={body['Hostname']}",
        f"--user={body['User']}",
        f"--stop-timeout={body['StopTimeout']}",
        f"--network={settings['NetworkMode']}",
        f"--network-alias={body['Hostname']}",
        f"--publish={binding['HostIp']}:{binding['HostPort']}:{port}",
        f"--restart={settings['RestartPolicy']['Name']}",
        f"--pids-limit={settings['PidsLimit']}",
        f"--memory={settings['Memory']}",
        f"--memory-swap={settings['MemorySwap']}",
        f"--cpus={settings['NanoCpus'] / NANO}",
        f"--log-driver={settings['LogConfig']['Type']}",
    ]
    words += [f"--log-opt={key}={value}" for key, value in settings["LogConfig"]["Config"].items()]
    words += [f"--cap-drop={capability}" for capability in settings["CapDrop"]]
    words += [f"--security-opt={option}" for option in settings["SecurityOpt"]]
    words += [f"--env={variable}" for variable in body["Env"]]
    words += [f"--label={key}={value}" for key, value in body["Labels"].items()]
    words += [f"--tmpfs={path}:{options}" for path, options in settings["Tmpfs"].items()]
    for mount in settings["Mounts"]:
        read_only = ",readonly" if mount["ReadOnly"] else ""
        words.append(f"--mount=type=bind,source={mount['Source']},target={mount['Target']}{read_only}")
    return [*words, *_health(body["Healthcheck"]), body["Image"], *body["Cmd"]]


def _health(check: dict[str, Any]) -> list[str]:
    if check["Test"] == ["NONE"]:
        return ["--no-healthcheck"]
    options = {
        "--health-interval": "Interval",
        "--health-timeout": "Timeout",
        "--health-start-period": "StartPeriod",
        "--health-start-interval": "StartInterval",
    }
    words = [f"{option}={check[key] // NANO}s" for option, key in options.items() if key in check]
    return [*words, f"--health-retries={check['Retries']}", f"--health-cmd={check['Test'][1]}"]
