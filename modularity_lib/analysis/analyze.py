"""All that the library says of a network or a recording, in one call."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from inspect import signature
from itertools import combinations
from math import inf, nan
from platform import python_version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from modularity_lib.alignment.scores import (
    agreement_p_value,
    element_centric_similarity,
    expected_element_centric_similarity,
)
from modularity_lib.analysis.analyses import Analysis
from modularity_lib.analysis.records import LayerModules, MeasuresCompared
from modularity_lib.analysis.significance import NULLS, test_modules
from modularity_lib.arrays import flag, real_number, shown, whole_number
from modularity_lib.clustering.bound import modularity_bound
from modularity_lib.clustering.clusterings import unchangeable
from modularity_lib.clustering.consensus import consensus_modules
from modularity_lib.clustering.search import find_modules
from modularity_lib.progress import progress_bar
from modularity_lib.vocabulary import chosen_names

if TYPE_CHECKING:
    import torch

_ACTIVITY = "activity"  # the layer of a recording
_NULLS_OF_RECORDINGS, _NULLS_OF_NETWORKS = ("independent-units",), ("shuffled-pairs", "random-directions")  # by default
_PACKAGES = ("modularity-lib", "numpy", "scipy", "numba", "torch")
_NOT_OF_NETWORKS = ("network", "signed", "null", "factory", "draws", "searches", "seconds", "seed", "progress")


def analyze(
    network: "torch.nn.Module | ArrayLike",
    inputs: Any = None,
    labels: Any = None,
    *,
    layers: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    units: Mapping[str, int] | None = None,
    positions: str | int = "average",
    output: Any = None,
    loss: Any = None,
    curvature: str = "hessian",
    inputs_at: str | None = None,
    calls: Mapping[str, int] | None = None,
    batch_size: int | None = None,
    signed: bool = False,
    null: str | Sequence[str] | None = None,
    factory: Callable[[], Any] | None = None,
    draws: int = 199,
    searches: int = 100,
    seconds: float = 5.0,
    seed: int = 0,
    progress: bool | None = None,
) -> Analysis:
    """Modules of every layer by every measure, how sure they are, and how alike those of two measures are.

    For each layer and measure: the similarity of its units (`similarity_matrices`), the modules of highest modularity Q
    (`find_modules`), a bound on the Q of any partition (`modularity_bound`), the consensus of many searches with the
    confidence of each unit (`consensus_modules`), and Q beside that of nulls (`test_modules`). For every two measures
    of a layer: how alike their modules are (`element_centric_similarity`), with chance.

    A recording, the activity of units with shape (samples, units), is taken in place of a network: it has one layer,
    "activity", and the two measures of `similarity_of_activity`.

    Args:
        network: any `torch.nn.Module`; or a recording, and then nothing else that is about networks.
        inputs, labels, layers, measures, units, positions, output, loss, curvature, inputs_at, calls, batch_size: of
            `similarity_matrices`.
        signed: of a recording alone: keep the sign of the similarity, see `find_modules`.
        null: name of a null of `test_modules`, or several. By default "independent-units" for a recording; for a
            network "shuffled-pairs" and "random-directions", which take the matrix. The others, which run the network
            at each draw, take as much longer as there are draws.
        factory: of the null "untrained", which needs it: makes a new untrained network at each call.
        draws: of each null; the smallest p is 1 / (draws + 1).
        searches: for the consensus.
        seconds: for the bound of one matrix, at most.
        seed: of all that is random: the same arguments give the same analysis, but for bounds that time cuts short.
        progress: whether bars are shown; None = where standard error is a terminal.
    Returns:
        Analysis. A layer whose units are all dead has a row with that reason, and so has a null that does not go with
        a measure.
    Raises:
        ValueError: an argument breaks a condition above, before any work.

    >>> random = np.random.default_rng(0)
    >>> drive = np.repeat(random.standard_normal((300, 2)), 4, axis=1)             # two groups of four units
    >>> found = analyze(drive + random.standard_normal((300, 8)), draws=19, searches=5)
    >>> found["activity", "input_covariance_norm"].modules.communities()
    [{0, 1, 2, 3}, {4, 5, 6, 7}]
    """
    given = {name: value for name, value in dict(locals()).items() if not _is_default(name, value)}
    draws = whole_number("draws", draws, at_least=1, at_most=10**6)
    searches = whole_number("searches", searches, at_least=2, at_most=10**5)
    seed, signed = whole_number("seed", seed, at_least=0), flag("signed", signed)
    if not 0 < real_number(seconds) < inf:
        raise ValueError(f"seconds must be a number above 0, got {shown(seconds)}: the time for the bound of a matrix.")
    progress = None if progress is None else flag("progress", progress)
    of_network = {name: value for name, value in given.items() if name not in _NOT_OF_NETWORKS}
    is_network = _is_network(network)
    nulls = _chosen_nulls(null, factory, is_network=is_network)
    started = time.time()
    if is_network:
        matrices = _matrices_of_network(network, of_network, signed=signed, progress=progress)
    else:
        matrices = _matrices_of_recording(network, of_network, signed=signed)
    places = [(layer, measure) for layer, by_measure in matrices.items() for measure in by_measure]
    results = []
    with progress_bar(len(places), "finding and testing modules", progress) as bar:
        for layer, measure in places:
            similarity = matrices[layer][measure]
            modules = find_modules(similarity, seed=seed, signed=signed)
            bound, consensus, tests, untested = None, None, [], {}
            if modules.status == "ok":
                bound = modularity_bound(similarity, seconds=seconds, signed=signed, progress=False)
                consensus = consensus_modules(similarity, searches=searches, seed=seed, signed=signed, progress=False)
                for name in nulls:
                    data = _test_data(name, network, similarity, of_network, layer=layer, measure=measure)
                    if name == "untrained":
                        data["factory"] = factory
                    try:
                        test = test_modules(**data, null=name, draws=draws, seed=seed, signed=signed, progress=False)
                        tests.append(test)
                    except ValueError as error:  # it does not go with these numbers
                        untested[name] = str(error)
            matrix = unchangeable(np.array(similarity, dtype=np.float64))
            results.append(LayerModules(layer, measure, matrix, modules, bound, consensus, tuple(tests), untested))
            bar.update()
    return Analysis(
        title=type(network).__name__ if is_network else "a recording",
        results=tuple(results),
        comparisons=tuple(_compared(a, b, seed=seed) for a, b in combinations(results, 2) if a.layer == b.layer),
        made_with={
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)),
            "seconds": round(time.time() - started, 1),
            "versions": {"python": python_version(), **{name: version(name) for name in _PACKAGES}},
            "arguments": {name: _in_words(value) for name, value in given.items()},
            "draws": draws,
            "searches": searches,
            "seconds_for_a_bound": float(seconds),
            "seed": seed,
        },
    )


_DEFAULTS = {name: parameter.default for name, parameter in signature(analyze).parameters.items()}


def _is_default(name: str, value: object) -> bool:
    default = _DEFAULTS[name]
    return value is default or (
        type(value) is type(default) and isinstance(value, str | int | float) and value == default
    )


def _is_network(value: object) -> bool:
    torch = sys.modules.get("torch")  # whoever passes a network has loaded it
    return torch is not None and isinstance(value, torch.nn.Module)


def _matrices_of_network(
    network: Any, given: Mapping[str, Any], *, signed: bool, progress: bool | None
) -> dict[str, dict[str, Any]]:
    from modularity_lib.similarity.measures import similarity_matrices  # PyTorch comes with it

    if signed:
        raise ValueError("signed must be False for a network, got True: its measures are absolute values.")
    if "inputs" not in given:
        raise ValueError("inputs must be given for a network, got None: what it is measured on, (inputs, ...).")
    return similarity_matrices(network, **given, progress=progress)


def _matrices_of_recording(activity: Any, given: Mapping[str, Any], *, signed: bool) -> dict[str, dict[str, Any]]:
    from modularity_lib.similarity.recordings import similarity_of_activity

    if not hasattr(activity, "shape") and not isinstance(activity, list | tuple):
        raise ValueError(
            f"network must be a torch.nn.Module, or the activity of units with shape (samples, units), got "
            f"{shown(activity)}."
        )
    if given:
        raise ValueError(
            f"network must be a torch.nn.Module where {next(iter(given))} is given, got {_in_words(activity)}. A "
            "recording goes alone: all that is about networks is left out."
        )
    try:
        return {_ACTIVITY: similarity_of_activity(activity, signed=signed)}
    except ValueError as error:
        raise ValueError(f"network, which is no torch.nn.Module, is read as a recording: {error}") from error


def _chosen_nulls(null: Any, factory: object, *, is_network: bool) -> tuple[str, ...]:
    """The names of the nulls; ValueError unless they go with what is analysed."""
    kind, called = ("network", "a network") if is_network else ("activity", "a recording")
    # The activity before a non-linearity, which rotated-units takes, is not what a recording is.
    fitting = [name for name, one in NULLS.items() if kind in one.takes and (is_network or name != "rotated-units")]
    default = _NULLS_OF_NETWORKS if is_network else _NULLS_OF_RECORDINGS
    wanted = [null] if isinstance(null, str) else null
    names = chosen_names("null", wanted, tuple(NULLS), default=default)
    if wrong := [name for name in names if name not in fitting]:
        raise ValueError(f"null {wrong[0]!r} does not go with {called}; expected some of {', '.join(fitting)}.")
    if ("untrained" in names) != (factory is not None) or not (factory is None or callable(factory)):
        raise ValueError(
            "factory must be given with null='untrained', and only then: a function that makes a new untrained network "
            f"at each call, got {shown(factory)}."
        )
    return names


def _test_data(
    null: str, network: Any, similarity: Any, of_network: Mapping[str, Any], *, layer: str, measure: str
) -> dict[str, Any]:
    """What `test_modules` is given for a null: the matrix if that is enough, else what the matrix was made of."""
    if "similarity" in NULLS[null].takes:
        return {"data": similarity}
    if not _is_network(network):
        return {"data": network, "measure": measure}
    about = {name: value for name, value in of_network.items() if name not in ("layers", "measures")}
    return {"data": network, "measure": measure, "layer": layer, **about}


def _compared(a: LayerModules, b: LayerModules, *, seed: int) -> MeasuresCompared:
    place = (a.layer, a.measure, b.measure)
    for one in (a, b):
        if one.modules.status != "ok":
            return MeasuresCompared(*place, nan, nan, nan, reason=f"{one.measure}: {one.modules.reason}")
    pair = (a.modules.labels, b.modules.labels)
    return MeasuresCompared(
        *place,
        agreement=element_centric_similarity(*pair),
        chance=expected_element_centric_similarity(*pair),
        p=agreement_p_value(*pair, seed=seed),
    )


def _in_words(value: Any) -> str:
    """An argument as the report shows it: short."""
    if hasattr(value, "shape"):
        kind = f", {value.dtype}" if hasattr(value, "dtype") else ""
        return f"{type(value).__name__} of shape {tuple(value.shape)}{kind}"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    text = shown(value)
    return text if " object at 0x" not in text else type(value).__name__
