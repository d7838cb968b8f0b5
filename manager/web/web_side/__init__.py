"""Speak HTTP: the side without the engine's socket or secrets, as another user where root starts it.

process                    what runs in it; gives up root's rights before it answers a request
server                     the app with its guard, under uvicorn
sign_in, guard             who may come in, sessions; what every request is checked for
attempts                   how often a password may be guessed
connections                how many there may be, and how long one may ask nothing
streams                    how many event streams each role reads at once
app_state                  what the routes need, together
link                       the connection with the engine side, and its last answers when that is away
bot_pages, bot_upgrades    the bots' own pages, each at an origin of its own: HTTP, WebSocket
bot_relay                  one request to a bot, and its answer
bot_sessions, bot_headers  who may see one; what of a message passes
bot_connections            how many there are to each bot
api, api_*                 the routes under /api/v1
models, models_*           the shapes of their answers
problems                   errors as problem+json
words                      the page's texts, for the catalogue
"""
