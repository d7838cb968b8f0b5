"""Starts the supervisor on a test's own folders: `python -I -S launch.py OPTIONS.json ARGUMENTS…`.

It imports no more than the supervisor's own entry point does: C code fails otherwise where `json` is not in
memory.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "docker"))  # noqa: PTH118, PTH120

from supervisor import bot, files, health, json_text, main, paths, runner, timings

options = json_text.loads(files.read_small(sys.argv[1], 1 << 16))
assert isinstance(options, dict)
assert "json" not in sys.modules

if options["broken"]:

    def broken(self: runner.BotRunner, result: health.ProbeResult) -> None:
        raise RuntimeError("a planted fault")

    runner.BotRunner._probed = broken  # type: ignore[method-assign]

if mark_path := options["late_mark"]:

    class BotWithLateMark(bot.Bot):
        """A bot at whose start a halt mark is created, after the supervisor's first look."""

        def __init__(self, command: tuple[str, ...], environment: dict[str, str]) -> None:
            super().__init__(command, environment)
            with open(mark_path, "w") as mark:  # noqa: PTH123
                mark.write('{"nonce": "n1", "by": "halt"}')

    vars(runner)["Bot"] = BotWithLateMark

sys.exit(main.main(sys.argv[2:], paths.Paths(**options["paths"]), timings.Timings(**options["timings"])))
