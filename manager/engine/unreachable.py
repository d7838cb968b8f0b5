"""Tell why no engine answers: slow, stopped, forbidden, absent and another program are different errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from manager.engine import http_socket
from manager.errors import EngineSlow, EngineUnreachable
from manager.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manager.engine.endpoint import Endpoint

OF_THIS_PROCESS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of a machine or process that has no room for another connection."""


def no_answer(why: object, endpoint: Endpoint, cause: BaseException | None = None) -> EngineUnreachable:
    """Return the error for an engine that does not answer."""
    causes = _causes(cause)
    if still := next((error for error in causes if isinstance(error, http_socket.StandsStill)), None):
        return stands_still(still.pid, endpoint)
    if any(isinstance(error, TimeoutError | http_socket.TooSlow) or _is_timeout(error) for error in causes):
        return EngineSlow("the Docker Engine at {endpoint} is slow: {why}", why=why, endpoint=endpoint)
    if any(isinstance(error, PermissionError) for error in causes):
        return EngineUnreachable(
            "permission denied for the Docker Engine at {endpoint} ({why}): run `sudo usermod -aG docker"
            " {user}`, then log in again, or `newgrp docker`",
            why=why,
            endpoint=endpoint,
            user=user_name(),
        )
    if any(isinstance(error, OSError) and error.errno in OF_THIS_PROCESS for error in causes):
        return EngineUnreachable(
            "cannot ask the Docker Engine at {endpoint}, which may be well: {why}", why=why, endpoint=endpoint
        )
    if any(isinstance(error, http_socket.NoEngine) for error in causes):
        return EngineUnreachable(
            "what answers at {endpoint} is not a Docker Engine ({why})", why=why, endpoint=endpoint
        )
    if endpoint.named_by:
        return EngineUnreachable(
            "no Docker Engine answers ({endpoint}: {why}); start that engine, or choose another one",
            why=why,
            endpoint=endpoint,
        )
    from manager.util import bundle

    return EngineUnreachable(
        "no Docker Engine answers ({endpoint}: {why}); start it, or run `{command}`",
        why=why,
        endpoint=endpoint,
        command=bundle.engine_command(),
    )


def other_format(why: str) -> EngineUnreachable:
    """Return the error for a program whose answers are no Docker Engine's: Podman's own API, a web server."""
    return EngineUnreachable(
        "what answers is not a Docker Engine: its answer cannot be read ({why}); see `docker version`, and"
        " DOCKER_HOST if it is set",
        why=why,
    )


def as_object(value: Any, *keys: str) -> dict[str, Any]:
    """Return an answer that describes one thing. Raises EngineUnreachable if it has not these keys."""
    if not isinstance(value, dict):
        raise other_format("it is not an object")
    if missing := next((key for key in keys if key not in value), ""):
        raise other_format(f"it has no {missing}")
    return value


def as_rows(value: Any) -> list[dict[str, Any]]:
    """Return an answer that lists things; Go writes an empty list as null. Raises EngineUnreachable."""
    rows = [] if value is None else value
    if not isinstance(rows, list):
        raise other_format("it is not a list")
    return [as_object(row) for row in rows]


def api_version(text: object) -> tuple[int, int]:
    """Return a version of the API as numbers. Raises EngineUnreachable if it is none."""
    major, _point, minor = str(text).partition(".")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise other_format("its ApiVersion is not a version")
    return int(major), int(minor)


def image_id(image: Mapping[str, Any]) -> str:
    """Return the id in an image's description. Raises EngineUnreachable if it has none."""
    if not isinstance(image.get("Id"), str):
        raise other_format("an image without an Id")
    return str(image["Id"])


def user_name() -> str:
    """Return this user's name; its number where the machine has none for it.

    In cron USER is not set, and after `su` it may be another user's; `usermod` knows no numbers.
    """
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def stands_still(pid: int, endpoint: Endpoint) -> EngineUnreachable:
    """Return the error for an engine whose process was stopped: neither waiting nor starting it helps."""
    return EngineUnreachable(
        "no Docker Engine answers ({endpoint}: its process {pid} was stopped, as by SIGSTOP); `sudo kill"
        " -CONT {pid}` lets it go on",
        endpoint=endpoint,
        pid=pid,
    )


def hangs(endpoint: Endpoint, seconds: float) -> EngineUnreachable:
    """Return the error for an engine that is there and has not answered for so many seconds."""
    return EngineUnreachable(
        "no Docker Engine answers ({endpoint}: {why}); it hangs, or is too busy: wait, or restart it",
        endpoint=endpoint,
        why=f"timed out after {seconds:.0f} s",
    )


def _is_timeout(error: BaseException) -> bool:
    """Return whether it is a timeout; each of the SDK's layers has its own exception."""
    return "Timeout" in type(error).__name__ or "timed out" in str(error)


def _causes(error: BaseException | None) -> list[BaseException]:
    causes = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes
