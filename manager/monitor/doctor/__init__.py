"""What an operator should know of machine, engine and project. facts.py says what is looked at, probe_*.py looks,
checks_*.py judge: pure, so that every verdict is tested without an engine."""
