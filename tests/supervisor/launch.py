"""Starts the supervisor on a test's own folders: `python -I -S launch.py OPTIONS.json ARGUMENTS…`."""

import json
import sys
from pathlib import Path

options = json.loads(Path(sys.argv[1]).read_text())
sys.path.insert(0, options["docker"])

from supervisor import bot, health, main, paths, runner, timings  # noqa: E402

if options["broken"]:

    def broken(self: runner.BotRunner, result: health.ProbeResult) -> None:
        raise RuntimeError("a planted fault")

    runner.BotRunner._probed = broken  # type: ignore[method-assign]

if options["late_mark"]:

    class BotWithLateMark(bot.Bot):
        """A bot at whose start a halt mark is created, after the supervisor's first look."""

        def __init__(self, command: tuple[str, ...], environment: dict[str, str]) -> None:
            super().__init__(command, environment)
            Path(options["late_mark"]).write_text('{"nonce": "n1", "by": "halt"}')

    vars(runner)["Bot"] = BotWithLateMark

sys.exit(main.main(sys.argv[2:], paths.Paths(**options["paths"]), timings.Timings(**options["timings"])))
