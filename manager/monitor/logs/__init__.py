"""Read what the bots print, from the engine's log and from the dated files, as lines of one instance."""
