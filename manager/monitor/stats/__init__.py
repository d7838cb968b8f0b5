"""Collect what instances use and what their bots report.

usage, cgroups, sampler       measure CPU, memory, network and disk
reports                       ask the bots for P&L and position
collect                       both, once
instance_stats, columns       one row per instance, totals, and how they are displayed
senders                       who sends most from an address that an exchange refuses
figure_columns                how its run goes, shown where it is named
"""
