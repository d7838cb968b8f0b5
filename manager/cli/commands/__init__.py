"""One file a command, named as it is typed; each is a function of a Context that returns an exit code."""
