"""Starts the supervisor on a test's own folders: `python -I -S launch.py OPTIONS.json ARGUMENTS…`."""

import json
import sys
from pathlib import Path

options = json.loads(Path(sys.argv[1]).read_text())
sys.path.insert(0, options["docker"])

from supervisor import health, main, paths, runner, timings  # noqa: E402

if options["broken"]:

    def broken(self: runner.BotRunner, result: health.ProbeResult) -> None:
        raise RuntimeError("a planted fault")

    runner.BotRunner._probed = broken  # type: ignore[method-assign]

sys.exit(main.main(sys.argv[2:], paths.Paths(**options["paths"]), timings.Timings(**options["timings"])))
