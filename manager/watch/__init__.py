"""Keep the module that a `manager watch` of version 0.1.0 or before still calls; the code is in
monitor/watch.
"""
