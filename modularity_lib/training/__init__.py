"""How networks are trained.

Read `plain` first: the training of one network in plain PyTorch. `config` holds its settings, `networks` the
perceptron, `performance` what is noted of a network in the end. The rest is the same training, only faster; skip it at
first: `training` trains the networks of a run side by side, `compiled` is its machine code, on the flat vectors of
`layout`, and `gpu` does the same on a GPU; `arguments` refuses what `MLP` and `train` cannot take. Imports `arrays`,
`images` and `vocabulary`.
"""
