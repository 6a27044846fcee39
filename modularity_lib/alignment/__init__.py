"""How alike two clusterings are.

Read `scores` first, then `overlaps`; `information` adds two scores that are newer than the paper, `many_pairs` has one
of the scores for many pairs at once. `compiled` and `compiled_information` are inner loops in machine code, to skip at
first reading.
Imports `clustering` and `arrays`.
"""
