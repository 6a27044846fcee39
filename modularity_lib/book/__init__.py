"""The pages of the book, and what makes them.

Read `pages` first, which the chapters use, then `words`: what a chapter says of results. `extension`, `schedule` and
`execution` run the chapters; `html` mends their pages; `pdf`, `cover` and `readme` make the rest.
Imports everything but `cli`.
"""
