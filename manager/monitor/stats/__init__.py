"""What instances use and report: cgroups, sampler, usage measure; reports asks the bots; instance_stats, columns show."""
