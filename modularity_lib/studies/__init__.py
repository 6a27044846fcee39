"""The whole experiment for hundreds of networks: run, kept, shipped.

Read `measurement` first (what is measured of one network), then `catalogue` (the studies) and `run`. Imports
`vocabulary` and the five steps: images, training, similarity, clustering, alignment.
"""
