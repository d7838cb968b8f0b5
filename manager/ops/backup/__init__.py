"""Backups of a fleet: one file a run, which restores on a fresh machine. Imports from here up: nothing else needs this room."""
