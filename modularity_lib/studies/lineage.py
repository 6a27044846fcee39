"""Which code, and which versions of libraries, are proven to give the results that come with the project.

`data/results/lineage.json` is append-only. A line says of the code of a stage, by its fingerprint, which older code it
is the same as, and how that was seen: "definitions", one source was fingerprinted in two ways; or "recomputed", a
sample of the shipped results came out the same to the last bit (`findings/reaffirm.py`). What is not proven is stale.
"""

import errno
import json
import os
import time
from functools import cache
from importlib.metadata import version
from typing import Any

from modularity_lib.studies.fingerprint import digests, fingerprint
from modularity_lib.studies.provenance import provenance
from modularity_lib.studies.shipped import RESULTS_FOLDER, ResultsAltered, shipped_tables

LINEAGE = RESULTS_FOLDER / "lineage.json"

# Where the code of each stage is entered. What trains on a GPU is not reached: up to rounding it does the same, as
# another kind of processor would.
ENTRIES = {
    "training": ("training.training.trained", "training.performance.network_facts", "images.dataset.dataset_of"),
    "modules": ("studies.measurement.measured_matrices", "studies.measurement.module_rows"),
    "agreement": ("studies.measurement.agreement_rows",),
    "common_mode": ("findings.common_mode.measured",),
    "lesions": ("findings.lesions.rows_of",),
    "better_partitions": ("findings.better_partitions.rows_of",),
    "published_numerics": ("findings.published_numerics.rows_of",),
    "rotated": ("findings.rotated.rows_of",),
    "two_sides": ("findings.two_sides.rows_of",),
    "silent_weights": ("findings.silent_weights.rows_of",),
    "near_copies": ("findings.near_copies.rows_of",),
    "linear_control": ("findings.linear_control.rows_of",),
    "training_course": ("findings.training_course.rows_of",),
}  # and of each of `findings.catalogue.FINDINGS`
LIBRARIES = ("numpy", "scipy", "numba", "torch")  # whose versions can change numbers


class OtherLibraries(UserWarning):
    """Shipped results are read beside libraries that they were not made with and that nothing proves to be the same."""


@cache
def source_of(stage: str) -> str:
    """Fingerprint of the code of a stage, or of the older code that it is proven to be the same as."""
    now = fingerprint(*ENTRIES[stage])
    line = _lines().get(stage, {}).get(now)
    return line["same_as"] if line else now


def is_proven(stage: str) -> bool:
    """Whether the code of a stage is in the lineage."""
    return fingerprint(*ENTRIES[stage]) in _lines().get(stage, {})


def changed_definitions(stage: str, source: str) -> list[str]:
    """Names of the definitions by which a stage differs from the nearest code that is proven to be `source`."""
    now = digests(*ENTRIES[stage])
    changes = []
    for line in _lines().get(stage, {}).values():
        if line["same_as"] == source:
            before = dict(pair.split(":") for pair in line["definitions"].split())
            changes.append(sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)))
    return min(changes, key=len, default=[])


def installed_libraries() -> dict[str, str]:
    """Versions of the `LIBRARIES`; without what builds add, as in 2.13.0+cpu."""
    return {name: version(name).partition("+")[0] for name in LIBRARIES}


def unproven_libraries(study: str) -> dict[str, tuple[str, str]]:
    """{library: (version here, version that the shipped results of a study were made with)}, where nothing proves that
    both give the same results."""
    shipped = shipped_tables(study)
    here = installed_libraries()
    if shipped is None or here in [line["versions"] for line in _lines().get("libraries", [])]:
        return {}
    made_with = {name: shipped.facts["made_with"]["versions"].get(name, ["unknown"]) for name in LIBRARIES}
    return {
        name: (here[name], " and ".join(versions))
        for name, versions in made_with.items()
        if here[name] not in [one.partition("+")[0] for one in versions]
    }


def libraries_sentence(study: str) -> str:
    """What `unproven_libraries` means and what to do; empty if there are none."""
    found = unproven_libraries(study)
    if not found:
        return ""
    listed = ", ".join(f"{name} {here} here, {before} then" for name, (here, before) in found.items())
    return (
        f"the shipped results of {study} were made with other versions: {listed}. Numbers may differ; "
        "`modularity reaffirm` recomputes a sample and compares it to the bit."
    )


def check_appendable() -> None:
    """Raise PermissionError where the lineage could not be written: before a sample is recomputed, not after."""
    if not os.access(LINEAGE.parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(LINEAGE))


def append(stages: list[str], *, how: str, networks: list[str], same_as: dict[str, str]) -> None:
    """Add a line for the code of each stage as it is now, and one for the installed libraries."""
    lines = json.loads(LINEAGE.read_text()) if LINEAGE.exists() else {}
    made = provenance()
    seen = {"how": how, "networks": networks, "commit": made["commit"], "processor": made["processor"]}
    seen["day"] = time.strftime("%F", time.gmtime())
    for stage in stages:
        definitions = " ".join(f"{name}:{digest}" for name, digest in digests(*ENTRIES[stage]).items())
        now = fingerprint(*ENTRIES[stage])
        lines.setdefault(stage, {})[now] = {"same_as": same_as[stage], **seen, "definitions": definitions}
    versions = installed_libraries()
    if versions not in [line["versions"] for line in lines.setdefault("libraries", [])]:
        lines["libraries"].append({"versions": versions, **seen})
    temporary = LINEAGE.with_suffix(".new")
    temporary.write_text(json.dumps(lines, indent=1) + "\n")
    temporary.replace(LINEAGE)
    _lines.cache_clear()
    source_of.cache_clear()


@cache
def _lines() -> dict[str, Any]:
    try:
        return dict(json.loads(LINEAGE.read_text(encoding="utf-8")))
    except FileNotFoundError:  # an installation without the shipped results
        return {}
    except (OSError, ValueError) as error:
        raise ResultsAltered(
            f"{LINEAGE}, which says what code made the shipped results, cannot be read: {error}. Get a fresh copy of "
            f"it, with `git checkout -- {LINEAGE}`, say."
        ) from error
