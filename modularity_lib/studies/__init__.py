"""The whole experiment for hundreds of networks: how it is run, stored and shipped.

Read `measurement` first (what is measured of one network), then `catalogue` (the studies) and `run`. `engine` spreads
the work over processes, `worker` does it and resumes it after a stop, `checkpoints` and `store` keep it. `keys`,
`fingerprint` and `lineage` say what is stale. `archive` finds a study's results, stored or shipped; `shipping` writes
those that come with the project, `shipped` reads them. Imports `vocabulary` and the five steps: images, training,
similarity, clustering, alignment.
"""

from modularity_lib.extras import need_extra

need_extra("studies", "A study needs", "dask", "distributed", "pyarrow", "safetensors")
