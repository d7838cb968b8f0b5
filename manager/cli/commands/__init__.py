"""Implement the commands, one module each, named as typed: a function of a Session that returns an exit
code.
"""
