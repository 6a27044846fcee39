"""How similar two hidden units are.

Read `measures` first, then `derivatives`, which holds for any network. `closed_form` is its fast twin for ReLU
perceptrons, to skip at first reading. What comes before measuring: `arguments` reads images and labels, `perceptron`
proves that a network is what the closed forms hold for, `steadiness` that its logits follow from one image each,
`pre_activations` warns of activation functions that follow a layer, and `nodes` finds the functions that can be named;
`evaluation` runs a network to be differentiated. How derivatives are had in few passes is in `backward` and
`linear_maps`. Imports `training.networks` and `vocabulary`.
"""
