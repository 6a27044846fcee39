"""How alike two clusterings are.

Read `scores` first, then `overlaps`; `information` adds two scores that are newer than the paper's. `compiled` and
`compiled_information` are their inner loops in machine code, to skip at first reading.
Read `scores` first, then `overlaps`. `many_pairs` has one of the scores for many pairs at once; `compiled` is the
matching of modules in machine code, to skip at first reading.
Imports `clustering` and `arrays`.
"""
