"""The pages of the book, and what makes them.

Read `pages` first, which the chapters use, then `words`: what a chapter says of results. `extension`, `schedule` and
`execution` run the chapters, `rerun` a single one with other parameters; `html` post-processes the pages; `origin` says
how a figure was made; `explorer` is the interactive page; `pdf`, `cover` and `readme` make the rest. Imports everything
but `cli`.
"""

from modularity_lib.extras import need_extra

need_extra("book", "The book needs", "jupytext", "matplotlib", "papermill")
