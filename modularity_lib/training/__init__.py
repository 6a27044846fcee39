"""How networks are trained.

Read `config`, `networks`, `training` and `performance`, in this order. The others are fast twins, to skip at first
reading: `compiled` is what `training` does, in machine code, on the flat vectors of `layout`; `gpu` does the same on a
GPU. Imports `images` only.
"""
