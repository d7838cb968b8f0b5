"""Run `python -m manager WORDS` or `python -c CODE WORDS` as a fork (tests/forks.py): SOCKET, then its words.

It imports next to nothing: it is started instead of a Python that loads the manager.
"""

import json
import os
import socket
import sys

name, *words = sys.argv[1:]
words = words[2:] if words[:2] == ["-m", "manager"] else words
line = socket.socket(socket.AF_UNIX)
line.connect(name)
request = json.dumps([["manager", *words], os.getcwd(), dict(os.environ)]).encode()  # noqa: PTH109
socket.send_fds(line, [len(request).to_bytes(4, "big")], [1, 2, 0])
line.sendall(request)
for number in (0, 1, 2):
    os.close(number)  # its end is the program's
answers = b""
while answers.count(b"\n") < 2:
    piece = line.recv(64)
    if not piece:
        os._exit(1)
    answers += piece
os._exit(int(answers.split()[1]) & 255)
