"""What follows from the tables of a study, as numbers.

Read `claims` first, which judges the paper's claims, and `inference`, on which it rests; `paper` holds the published
numbers. `tables` measures a finding network by network and ships it, `catalogue` names those that there are, and
`reaffirm` proves that changed code gives the shipped results.
Imports `studies`, the five steps and `vocabulary`; no figures, and no words of the book.
"""
