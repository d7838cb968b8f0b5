"""Run a fleet of trading bots: one config, one Docker container."""

__version__ = "0.34.0"
