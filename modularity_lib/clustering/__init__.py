"""Modules: the clustering of units with the highest modularity Q.

Read `modularity` first, then `search`. `compiled` holds the steps of the search in machine code, with
the gain of each move; slow versions are in the tests.
Imports `arrays` only.
"""
