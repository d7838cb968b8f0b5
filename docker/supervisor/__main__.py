"""`python3 -I -S /opt/botfleet/supervisor ARGUMENTS OF THE BOT`.

Python puts the folder it is told to run first in `sys.path`, so its modules would be top-level ones. Its
parent in that place makes it the package `supervisor`, which is what the tests import too.
"""

import os
import sys

if not __package__:
    sys.path[0] = __file__.rsplit("/", 2)[0]

from supervisor.main import main

os._exit(main(sys.argv[1:]))  # everything is written; tidying up memory would only make a stop slower
