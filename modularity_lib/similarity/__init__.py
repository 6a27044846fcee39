"""How similar two hidden units are.

Read `measures` first, then `derivatives`, which holds for any network. `closed_form` is its fast twin for ReLU
perceptrons, to skip at first reading. Imports `training.networks` and `vocabulary`.
"""
