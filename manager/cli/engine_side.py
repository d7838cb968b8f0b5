"""Start the engine side of `manager serve`, as a process of its own: `python -m manager.cli.engine_side`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from manager import i18n
from manager.cli import report
from manager.errors import OK, ManagerError
from manager.ops.actions.result import Result
from manager.util import console


def main(words: list[str]) -> int:
    """Run until SIGTERM, or until the keeper has ended, and return an exit code."""
    project_dir, language, peer, url, keeper, ready = words
    i18n.use(language)
    from manager.fleet.session import Session
    from manager.web import lifeline, links, places
    from manager.web.engine_side import process

    folder = Path(project_dir) if project_dir else None
    lifeline.hold(int(keeper))

    def say_result(result: Result) -> None:
        report.say_result(result, as_json=False)

    def say_ready() -> None:
        os.write(int(ready), b"e")
        os.close(int(ready))

    def say_link() -> None:
        if url:
            at = places.of(Session(folder).project().fleet)
            console.say(links.invitation(at.link, url))

    try:
        with report.Reporter() as reporter:
            process.run(folder, int(peer), say_ready, say_link, reporter, say_result)
    except ManagerError as error:
        console.error(error)
        return error.exit_code
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
