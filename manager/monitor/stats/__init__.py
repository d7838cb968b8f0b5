"""What instances use and report: cgroups, usage, sampler measure; reports asks the bots; collect does both; the rest shows."""
