"""Run a fleet of trading bots: one config, one Docker container."""

__version__ = "0.33.0"
