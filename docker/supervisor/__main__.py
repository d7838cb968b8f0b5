"""Run `python3 -I -S /opt/botfleet/supervisor ARGUMENTS OF THE BOT`.

Python puts the folder that it runs first in `sys.path`, which would make its modules top-level modules. With
the parent folder in that place it is the package `supervisor`, as in the tests.
"""

import os
import sys

if not __package__:
    sys.path[0] = __file__.rsplit("/", 2)[0]

from supervisor.main import main

os._exit(main(sys.argv[1:]))  # all output is written; freeing memory would only delay the stop
