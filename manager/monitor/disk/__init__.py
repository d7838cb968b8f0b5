"""Watch what each instance's folders take on disk.

growth     samples → growth, and which bot fills the disk (pure)
folders    what an instance's folders take now
record     the samples, which `watch` writes and `stats` reads
usage      size and growth per instance, for `stats` and `top`
"""
