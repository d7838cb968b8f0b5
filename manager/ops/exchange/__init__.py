"""Ask and act at the exchange for a bot that is down, from one-off containers.

oneoff           runs a program of an image once
open_orders      which orders of an instance rest there
ask_now          the same for instances whose bots run, beside what these report
container_gone   what is known where the container is gone that could ask
unknown_rest     from when on a word on its orders is an answer
asking           asks for them, where nothing tells what an instance has left
live_checks      what a live instance would fail by
close            closes positions, when a person has agreed
account_parts    what the other bots hold on an account
settled_records  the same of bots that were killed
"""
