"""Modules: the clustering of units with the highest modularity Q.

Read `modularity` first, then `search`. `compiled` is the walk of the search in machine code, to skip at first reading.
Imports nothing else of the library.
"""
