"""Make text from a bot safe for a terminal, a log and a table."""


def plain(text: str, limit: int) -> str:
    """Return `text` on one line, without control characters, at most `limit` characters long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())[:limit]
