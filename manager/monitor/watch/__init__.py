"""`manager watch`: the resident that keeps the exports fresh, mends what an engine's death left down, and sends alerts."""
