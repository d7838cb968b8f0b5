"""Simulated venues that answer in an exchange's own shapes, through ccxt's own class of it.

kit       what the kits share: the adapter with fetch and signing replaced, faults, the engine on top
apex      apex's shapes
aster     aster's shapes, of perpetuals and spot
backpack  backpack's shapes, of perpetuals and spot
lighter   lighter's shapes
paradex   paradex's shapes
served    a kit as a server, for a bot that runs somewhere else
"""
