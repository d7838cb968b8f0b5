"""`manager import`: what there is (survey), what would be done (plan), and doing it (do)."""
