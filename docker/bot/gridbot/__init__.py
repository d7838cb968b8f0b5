"""Trade as a small grid and quoting bot: Decimal arithmetic, one SQLite file, one web page.

Each room imports only itself and the rooms to its right; tests/bot/test_rooms.py holds it so:

cli → web → trading → strategies → exchanges → store → runtime → config → model
"""
