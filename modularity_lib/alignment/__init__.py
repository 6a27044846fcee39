"""How alike two clusterings are.

Read `scores` first, then `overlaps`. `compiled` is the matching of modules in machine code, to skip at first reading.
Imports `clustering` and `arrays`.
"""
