"""One file a family of commands; each command is a function of a Context that returns an exit code."""
