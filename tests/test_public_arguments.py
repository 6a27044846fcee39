"""Every argument of every public function: what is of another kind is refused in words that name it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import modularity_lib as ml
from made_up_results import made_up_results

S, LABELS = np.kron(np.eye(2), np.ones((3, 3))), np.repeat([0, 1], 3)
NETWORK, IMAGES = ml.MLP([6, 3, 2]), np.eye(6)
STUDY: dict[str, Any] = {"name": "tiny", "dataset": "mnist-5k", "hidden": (4,), "epochs": 1, "runs": 1, "untrained": 0}
PAIR: dict[str, Any] = {"a": LABELS, "b": LABELS}
MATRICES: dict[str, Any] = {"similarity_a": S, "similarity_b": S}

PAPERS = "find_modules as the paper does"
OF_NETWORKS = "test_modules of networks"

# Functions with arguments that are right, and of these the ones that are replaced by what is wrong.
DOORS: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "agreement": (ml.agreement, PAIR | {"permutations": 9, "seed": 0}),
    "agreement_p_value": (ml.agreement_p_value, PAIR | {"permutations": 9, "seed": 0}),
    "adjusted_mutual_information": (ml.adjusted_mutual_information, PAIR),
    "dirichlet_reduced_mutual_information": (ml.dirichlet_reduced_mutual_information, PAIR | {"normalized": False}),
    "element_centric_similarity": (ml.element_centric_similarity, PAIR),
    "expected_element_centric_similarity": (ml.expected_element_centric_similarity, PAIR),
    "greedy_matching_score": (ml.greedy_matching_score, PAIR),
    "reduced_mutual_information": (ml.reduced_mutual_information, PAIR | {"normalized": False}),
    "variation_of_information": (ml.variation_of_information, PAIR | {"normalized": False}),
    "similarity_spearman": (ml.similarity_spearman, MATRICES),
    "transfer": (ml.transfer, MATRICES | {"labels_a": LABELS, "labels_b": LABELS}),
    "modularity_score": (
        ml.modularity_score,
        {"similarity": S, "labels": LABELS, "resolution": 1.0, "signed": False},
    ),
    "find_modules": (
        ml.find_modules,
        {"similarity": S, "seed": 0, "method": "best", "resolution": 1.0, "signed": False, "restarts": 1},
    ),
    PAPERS: (
        partial(ml.find_modules, method="paper"),
        {"similarity": S, "seed": 0, "restarts": 1, "steps": 50, "target_entropy": 0.15},
    ),
    "consensus_modules": (
        ml.consensus_modules,
        {"similarity": S, "searches": 2, "seed": 0, "method": "best", "resolution": 1.0, "signed": False}
        | {"progress": None},
    ),
    "match_modules": (ml.match_modules, {"clusterings": [LABELS, LABELS]}),
    "load_modules": (ml.load_modules, {"path": "modules"}),
    "modularity_bound": (
        ml.modularity_bound,
        {"similarity": S, "seconds": 1.0, "resolution": 1.0, "signed": False, "progress": None},
    ),
    "spectral_modules": (ml.spectral_modules, {"similarity": S, "variant": "paper"}),
    "similarity_matrices": (
        ml.similarity_matrices,
        {"network": NETWORK, "inputs": IMAGES, "labels": LABELS, "layers": ["hidden1"], "measures": ["output_hessian"]}
        | {"units": {"hidden1": 1}, "positions": "average", "output": None, "loss": None, "curvature": "hessian"}
        | {"inputs_at": None, "calls": {"hidden1": 0}, "batch_size": 3, "progress": False},
    ),
    "similarity_of_activity": (ml.similarity_of_activity, {"activity": IMAGES, "signed": False}),
    "similarity_of_gradients": (ml.similarity_of_gradients, {"gradients": np.ones((2, 3, 4)), "signed": False}),
    "test_modules": (
        ml.test_modules,
        {
            "data": np.random.default_rng(0).random((6, 3)),
            "null": "rotated-units",
            "draws": 1,
            "seed": 0,
            "measure": "input_covariance",
            "nonlinearity": np.tanh,
            "signed": False,
            "resolution": 1.0,
            "method": "best",
            "restarts": 1,
            "progress": False,
        },
    ),
    OF_NETWORKS: (
        partial(ml.test_modules, NETWORK),
        {"null": "untrained", "draws": 1, "layer": "hidden1", "factory": lambda: ml.MLP([6, 3, 2]), "inputs": IMAGES}
        | {"measure": "input_gradient"},
    ),
    "analyze": (
        ml.analyze,
        {
            "network": NETWORK,
            "inputs": IMAGES,
            "layers": ["hidden1"],
            "measures": ["input_gradient"],
            "signed": False,
            "null": "shuffled-pairs",
            "factory": None,
            "draws": 3,
            "searches": 2,
            "seconds": 0.1,
            "seed": 0,
            "progress": False,
        },
    ),
    "load_dataset": (ml.load_dataset, {"name": "mnist-5k"}),
    "TrainingConfig": (
        ml.TrainingConfig,
        {
            "hidden": (4,),
            "run": 0,
            "epochs": 1,
            "batch_size": 10,
            "l2": 0.0,
            "l1": 0.0,
            "dropout": 0.0,
            "learning_rate": 1e-3,
            "protocol": "v1",
        },
    ),
    "MLP": (ml.MLP, {"sizes": [6, 3, 2], "dropout": 0.0}),
    "network_of": (ml.network_of, {"parameters": ml.parameters_of(NETWORK), "dropout": 0.0}),
    "parameters_of": (ml.parameters_of, {"network": NETWORK}),
    "Study": (
        ml.Study,
        STUDY
        | {"protocol": "v1", "l2": (), "l1": (), "dropout": (), "min_test_accuracy": 0.8, "largest_analysed_l1": 1.0}
        | {"search_steps": 10, "permutations": 10},
    ),
    "run_study": (
        ml.run_study,
        {"study": "v1", "store": None, "workers": None, "scheduler": None, "device": "cpu", "progress": False},
    ),
    "stored_network": (
        ml.stored_network,
        {"study": "v1", "run": 0, "l2": 1e-5, "l1": 0.0, "dropout": 0.0, "store": None},
    ),
    "Store": (ml.Store, {"root": None}),
    "compare_with_paper": (ml.compare_with_paper, {"results": made_up_results(), "table": "agreement"}),
}
WRONG: dict[str, Any] = {
    "an object": object(),
    "a type": int,
    "a function": lambda: 0,
    "a complex number": 1j,
    "a list of None": [None],
    "a list of objects": [object(), object()],
    "a dictionary": {"a": 1},
    "three axes": np.zeros((2, 3, 4)),
    "names in an array": np.array(["a", "b"]),
    "a date": np.datetime64("2020"),
    "a network": torch.nn.Linear(2, 2),
    "a config": ml.TrainingConfig(),
    "bytes": b"x",
}
NUMBERS = {"NaN": np.nan, "below 0": -1, "True": True, "text": "3", "too large": 10**400, "None": None, "half": 2.5}
COUNTS = ["permutations", "seed", "restarts", "steps", "run", "epochs", "batch_size", "runs", "untrained"]
COUNTS += ["search_steps", "searches", "draws", "workers"]
REALS = [
    "seconds",
    "target_entropy",
    "l1",
    "l2",
    "dropout",
    "learning_rate",
    "min_test_accuracy",
    "largest_analysed_l1",
]


def places(*arguments: str) -> list[tuple[str, str]]:
    """Every function with every one of these arguments that it has; with all of its arguments if none is named."""
    return [(name, one) for name, (_, given) in DOORS.items() for one in given if one in arguments or not arguments]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("function", "argument"), places())
def test_what_is_of_another_kind_is_refused_by_name(function: str, argument: str, wrong: str) -> None:
    right = {("gradients", "three axes"), ("nonlinearity", "a function"), ("nonlinearity", "a type")}
    right |= {("nonlinearity", "a network"), ("data", "a network"), ("factory", "a function")}
    if (argument, wrong) in right:
        pytest.skip("it is right, or refused for another reason")
    call, arguments = DOORS[function]
    if (argument, wrong) == ("network", "a network") and "layers" in arguments:  # which is right, but for the layers
        arguments = arguments | {"layers": 5}
        argument, given = "layers", {"network": WRONG[wrong]}
    else:
        given = {argument: WRONG[wrong]}
    if (argument, wrong) == ("inputs", "three axes"):  # labels for as many
        given |= {"labels": [0, 1]}
    with pytest.raises(ValueError, match=rf"^{argument}\b") as refusal:
        call(**(arguments | given))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 600 or argument == "null"  # which are listed with their questions


@pytest.mark.parametrize("wrong", NUMBERS)
@pytest.mark.parametrize(("function", "argument"), places(*COUNTS))
def test_a_count_that_is_no_whole_number_is_refused_by_name(function: str, argument: str, wrong: str) -> None:
    taken = {("seed", "too large"), ("workers", "too large"), ("workers", "None"), ("steps", "None")}
    of_one = {
        ("stored_network", "run", "too large"),
        *(("similarity_matrices", "batch_size", size) for size in ("too large", "None")),
    }
    if (argument, wrong) in taken or (function, argument, wrong) in of_one:
        return
    call, arguments = DOORS[function]
    with pytest.raises(ValueError, match=f"^{argument} must be a whole number"):
        call(**(arguments | {argument: NUMBERS[wrong]}))


@pytest.mark.parametrize("wrong", ["NaN", "True", "text", "too large", "None"])
@pytest.mark.parametrize(("function", "argument"), places(*REALS, "resolution"))
def test_a_number_that_is_none_is_refused_by_name(function: str, argument: str, wrong: str) -> None:
    if argument in ("l1", "l2", "dropout") and function == "Study":
        pytest.skip("a study has lists of them")
    if (argument, wrong, function) == ("target_entropy", "None", PAPERS):
        pytest.skip("it stands for the paper's")
    call, arguments = DOORS[function]
    with pytest.raises(ValueError, match=f"^{argument} must be "):
        call(**(arguments | {argument: NUMBERS[wrong]}))


def test_every_public_function_is_here() -> None:
    elsewhere = {"stored_matrices", "train"}  # as `stored_network`; in tests/training/test_training_arguments.py
    records = {"Analysis", "Clustering", "Dataset", "Parameters", "Results", "ModuleTest", "TrainedNetwork"}
    public = {name: getattr(ml, name) for name in ml.__all__ if callable(getattr(ml, name))}
    errors = {name for name, one in public.items() if isinstance(one, type) and issubclass(one, Exception)}
    assert public.keys() - records - errors - elsewhere == DOORS.keys() - {PAPERS, OF_NETWORKS}
