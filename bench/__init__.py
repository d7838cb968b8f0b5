"""Measure the manager: `make bench`. What it measures and how to read it: bench/README.md."""
