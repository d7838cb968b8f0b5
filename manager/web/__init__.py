"""Serve the fleet's page and its API over HTTP (`manager serve`). Needs the packages of the extra `web`.

server                     start and end: the socket, the threads, the printed address
address                    where it may listen, and which names lead there
sign_in, guard             one-time links and sessions; what every request is checked for
api, models, problems      the routes under /api/v1, the shapes of their answers, errors as problem+json
desk                       what the routes need, together
api_actions, actions       what a person may ask for, and the commands that carry it out
looks, figures             threads that observe the fleet and its history while somebody reads the page
answers, curves            an observation and a history as JSON
log_tails, api_logs        what the bots print, as they print it
feed                       what has changed since the last observation, for the events
words                      the page's texts, for the catalogue
page/                      what the browser loads
"""
