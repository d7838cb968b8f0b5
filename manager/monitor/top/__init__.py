"""The full-screen view. Only `manager top` loads it: Textual takes 0.3 s."""
