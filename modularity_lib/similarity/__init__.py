"""How similar two hidden units are.

Read `measures` first, then `derivatives` and `derivative_sums`, which hold for any network; `averages` takes means over
all inputs, batch by batch, and `covariance` that of activities. `closed_form` is their fast twin for ReLU perceptrons,
to skip at first reading, and `perceptron_measures` what uses it.

Around that, from the caller to the numbers:

- what is given: `inputs` (arrays, several of them, loaders), `losses` (and labels), `layers` (names), `nodes`
  (functions in forward that can be named), `arguments` (the network, settings); `subjects` puts them together,
- where the units are in what a layer gives: `places`,
- one pass through the network: `evaluation`, in `surroundings` that are put back as they were and in the `precision`
  of the network; `nested` finds tensors in what modules give,
- passes backwards: `backward`, and `linear_maps` where fewer of them do,
- what is proved before: `perceptron`, that the closed forms hold for a network; `steadiness`, that its outputs follow
  from one input each; `pre_activations` warns of functions that follow a layer.

`recordings` measures activity and gradients that were recorded elsewhere. Imports `training.networks`, `vocabulary`,
`arrays` and `progress`.
"""
