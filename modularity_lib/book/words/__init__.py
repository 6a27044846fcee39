"""What the book says of results, so that no number is typed into prose: one file for each chapter.

The chapter `agreement.md` speaks with `agreement`, and so on; `verdicts` serves every chapter that judges a claim, and
`study` those that say what a study is.
"""
