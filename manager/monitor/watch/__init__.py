"""Run `manager watch`: keep the export current, recover bots after an engine crash, and send alerts."""
