"""The images: a data set, its split into training and validation images, and the files that it comes from.

Read `dataset` first; `sources` fetches and checks files. Imports `vocabulary` only.
"""
