"""Speak HTTP: the side without the engine's socket or secrets, as another user where root starts it.

process                    what runs in it; gives up root's rights before it answers a request
server                     the app with its guard, under uvicorn
sign_in, guard             who may come in, sessions; what every request is checked for
attempts                   how often a password may be guessed
connections                how many there may be, and how long one may ask nothing
streams                    how many event streams each role reads at once
counter                    what the routes need, together
link                       the connection with the engine side, and its last answers when that is away
bot_pages, bot_upgrades    the bots' own pages, each at an origin of its own: HTTP, WebSocket
bot_sessions, bot_headers  who may see one; what of a message passes
bot_connections            how many there are to each bot
api…, models…, problems    the routes under /api/v1, the shapes of their answers, errors as problem+json
words                      the page's texts, for the catalogue
"""
