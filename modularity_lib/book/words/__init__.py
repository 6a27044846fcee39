"""What the book says about results, so that no number is typed into prose.

The chapter `agreement.md` takes its sentences from `agreement`, and so on. `verdicts` serves every chapter that judges
a claim, `study` those that describe a study, and `prose` all of them.

A function `..._markdown` returns a table, `..._text` a text, and `texts` or `..._texts` several by name.
"""
