"""Modules: the clustering of units with the highest modularity Q.

Read `modularity` first, then `search`, which finds modules, and `clusterings`, what it gives. `best_search` is the
search for users, `paper_search` that of the paper and of all studies; both take the connected `parts` of a layer one by
one. `compiled_best` and `compiled` hold their steps in machine code; slow versions are in the tests. `bound` says how
high Q could be at most, by the `relaxation` with its `compiled_cuts`; `consensus` what many searches agree on;
`matching` follows modules over checkpoints; `keeping` writes them to files, `pictures` draws them.
Imports what all folders may, such as `arrays`.
"""
