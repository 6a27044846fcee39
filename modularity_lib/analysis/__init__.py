"""One network or one recording from end to end: its modules, how sure they are, and a page that shows it.

Read `analyze` first, then `records`, which it gives; `nulls` and `significance` test modules; `report` writes the page
and `pictures` its pictures; `command` is `modularity analyze`, and `reading` its files. Imports the five steps.
"""
