"""A small grid and quoting bot: Decimal arithmetic, a SQLite record, one web page.

Imports point one way: ``model`` and the pure rooms (``grid``, ``quotes``, ``ledger``, ``risk``) at the bottom, then the
record (``store``), the exchanges (``paper``, ``ccxt_exchange``), ``sync`` and ``engine`` above them, ``main`` on top.
"""
