"""Run `python3 -I -S /opt/botfleet/supervisor/__main__.py ARGUMENTS OF THE BOT`.

The folder runs as well, but for one Python loads `runpy`, and with it 0.7 MB. With the parent folder
in `sys.path` it is the package `supervisor`, as in the tests.
"""

import os
import sys

if not __package__:
    sys.path.insert(0, __file__.rsplit("/", 2)[0])

from supervisor.main import main

os._exit(main(sys.argv[1:]))  # all output is written; freeing memory would only delay the stop
