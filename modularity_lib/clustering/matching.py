"""Modules followed over several clusterings of the same units, such as those of checkpoints of one training."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from modularity_lib.arrays import labels_of, shown
from modularity_lib.clustering.clusterings import Clustering, unchangeable


def match_modules(clusterings: "Iterable[Clustering | ArrayLike]") -> list[Clustering]:
    """The same clusterings with module numbers that are kept from one to the next: same number = same module.

    The modules of the first keep their numbers. Those of each next one are matched with the modules before, one to one,
    so that as many units as possible keep their number; modules that share no unit are not matched. A module before is
    the last one that had its number, in whatever clustering that was: one that is gone for a while and comes back is
    the same module if the units match. Of matches with equally many kept units, that with modules which were in the
    clustering just before counts. Modules that match none get new numbers, so no number ever stands for another module.

    Args:
        clusterings: of the same units, in their order in time: Clusterings, or labels of shape (units,), -1 = dead.
            Where names of units are given they must be the same ones, in the same order.
    Returns:
        a Clustering for each, equal but for its labels; of labels alone, one of method "given" whose Q is NaN. Numbers
        may be missing, and `n_modules` is as before.
    Raises:
        ValueError: no clustering is given, one is no clustering, or they have other units.
    Source: matching: Crouse (2016), IEEE Trans. Aerosp. Electron. Syst. 52:1679, in scipy.

    >>> first, second = match_modules([[0, 0, 0, 1, 1], [0, 1, 1, 2, 2]])
    >>> second.labels  # units 1 and 2 stay in module 0, 3 and 4 in module 1, and unit 0 is a new module
    array([2, 0, 0, 1, 1])
    """
    given = _checked(clusterings)
    last: dict[int, tuple[int, np.ndarray]] = {}  # number -> the last clustering that had it, and its units there
    matched = []
    for place, clustering in enumerate(given):
        modules = np.unique(clustering.labels[clustering.labels >= 0])
        members = clustering.labels == modules[:, None]
        number_of = _numbers(members, last, place) if last else dict(enumerate(modules.tolist()))
        labels = np.full(len(clustering.labels), -1)
        for module, number in number_of.items():
            labels[members[module]] = number
            last[number] = (place, members[module])
        matched.append(replace(clustering, labels=unchangeable(labels)))
    return matched


def _numbers(members: np.ndarray, last: dict[int, tuple[int, np.ndarray]], place: int) -> dict[int, int]:
    """Number of each module, given by its row of `members`: that of the module before it, or a new one."""
    numbers = sorted(last)
    shared = members.astype(int) @ np.array([last[number][1] for number in numbers]).T
    recent = np.array([last[number][0] == place - 1 for number in numbers])
    # A unit weighs more than all ties together.
    weight = shared * (len(members) + 1.0) + np.where(shared > 0, recent, 0.0)
    number_of = {
        int(module): numbers[before]
        for module, before in zip(*linear_sum_assignment(weight, maximize=True), strict=True)
        if shared[module, before] > 0
    }
    free = max(numbers) + 1
    for module in range(len(members)):
        if module not in number_of:
            number_of[module], free = free, free + 1
    return number_of


def _checked(clusterings: object) -> list[Clustering]:
    expected = "clusterings must be a list of Clusterings, or of labels, of the same units"
    if isinstance(clusterings, str | bytes | dict | Clustering) or not isinstance(clusterings, Iterable):
        raise ValueError(f"{expected}, got {shown(clusterings)}. Pass [a, b, ...].")
    given = []
    for place, one in enumerate(clusterings):
        if isinstance(one, Clustering):
            given.append(one)
        else:
            labels = unchangeable(labels_of(f"clusterings[{place}]", one).astype(int))
            given.append(Clustering(labels, float("nan"), method="given"))
    if not given:
        raise ValueError(f"{expected}, got none. Pass at least one.")
    named = next((place for place, one in enumerate(given) if one.names is not None), None)
    for place, one in enumerate(given):
        if len(one.labels) != len(given[0].labels):
            raise ValueError(
                f"{expected}, got {len(given[0].labels)} units in the first and {len(one.labels)} in "
                f"clusterings[{place}]. Clusterings of one layer have the same units, dead ones included."
            )
        if named is not None and one.names is not None and one.names != given[named].names:
            unit = next(
                unit
                for unit, pair in enumerate(zip(one.names, given[named].names or (), strict=True))
                if pair[0] != pair[1]
            )
            raise ValueError(
                f"{expected}, got the names {shown((given[named].names or ())[unit])} and {shown(one.names[unit])} for "
                f"unit {unit} of clusterings[{named}] and clusterings[{place}]. Bring the tables of similarities into "
                "one order, with .loc, before modules are searched."
            )
    return given
