"""Start the bundled bot: the signal handlers first, everything else after."""

from gridbot.runtime.stop_signal import StopSignal

STOP = StopSignal()

if __name__ == "__main__":
    STOP.install()
    import sys

    from gridbot.cli.main import main

    code = main(sys.argv[1:], STOP)
    STOP.ignore()
    sys.exit(code)
