"""Serve the fleet's page and its API over HTTP (`manager serve`). Needs the packages of the extra `web`.

keeper                     `manager serve`: starts the two sides, and starts each again when it ends
engine_side/               watches and acts; has the engine's socket
web_side/                  answers browsers and programs; has neither that socket nor secrets
protocol, lifeline         what the two say to each other; how they end with their keeper
options, address           where it may listen, and which names lead there
access, rights             who may sign in: passwords, codes, tokens; the web side's user
places, links, running     its files; links that sign in once; whether one runs, and how to end it
page/                      what the browser loads; its chart is that of docker/bot/gridbot/web/page
"""
