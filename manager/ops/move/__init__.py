"""Move an instance to another machine: never two, never a row lost.

moving    the command: one step after the other, each of which may be repeated
journal   what the machine that moves remembers of a move: which step it was about to do
sides     this machine or another one, asked for a step in the same way
steps     what each side does
refusals  why an instance is not moved, by what both sides have answered
account   finds another bot that trades on the instance's account
presence  what a side has of it: a bot that is up, a container, files
fitting   what a side refuses, because it would not be whole there or replace another instance's
staging   where a side keeps the backup that is moved
orders    halt and start it, so that what was ordered meanwhile stays in force
bound     the two machines that the move was begun with
interrupted  moves that nobody goes on with, and whose bots run nowhere
left_unknown  carries over that nobody knows what it has left at its exchange
dotenv_lines  adds the variables of an instance to .env
"""
