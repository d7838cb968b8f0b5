"""Stand-ins that tests put where something real would be dear, slow, or never fail when it should."""
