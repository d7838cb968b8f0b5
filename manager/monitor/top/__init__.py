"""Show the fleet full-screen. Only `manager top` loads it: Textual takes 0.3 s."""
