"""The foreign bot's own package: a mount over /app/database would hide it."""
