"""Keys of results: what determines the outcome of each stage of one network, so that a change is noticed."""

import ast
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modularity_lib.data import load_dataset
from modularity_lib.experiments import Study
from modularity_lib.sources import DATASETS
from modularity_lib.store import key_of
from modularity_lib.training import TrainingConfig

# The source that decides the outcome of each stage. A change there makes the stage's stored results stale, and those of
# the stages after it; a change of comments, docstrings or layout does not. device_training.py is not among them: up to
# rounding it does what training.py does, as another kind of processor would (tests/test_device_training.py).
STAGE_SOURCES = {
    "training": (
        "data",
        "networks",
        "backpropagation",
        "sparse_images",
        "dropout",
        "flat_networks",
        "protocols",
        "training",
        "performance",
    ),
    "modules": ("derivatives", "similarity", "modularity", "monte_carlo", "clustering", "analysis"),
    "agreement": ("matching", "alignment"),
}


@dataclass(frozen=True)
class NetworkKeys:
    """Keys of the three results of one network, and what each was made of."""

    keys: dict[str, str]
    ingredients: dict[str, dict[str, Any]]


def network_keys(config: TrainingConfig, study: Study) -> NetworkKeys:
    """Keys of a network's results in a study: each depends on all that determines it, the stage before included."""
    ingredients: dict[str, dict[str, Any]] = {
        "training": {"dataset": dataset_checksum(study.dataset), **asdict(config), "hidden": list(config.hidden)},
        "modules": {"search_steps": study.search_steps, "seed": config.run},
        "agreement": {"permutations": study.permutations, "seed": config.run},
    }
    keys: dict[str, str] = {}
    for stage, parts in ingredients.items():
        parts |= {"stage": stage, "source": stage_fingerprint(stage), "after": list(keys.values())[-1:]}
        keys[stage] = key_of(parts)
    return NetworkKeys(keys, ingredients)


@cache
def dataset_checksum(name: str) -> str:
    """`Dataset.sha256` of a dataset; where it is known, keys can be made without the images."""
    return DATASETS[name].content_sha256 or load_dataset(name).sha256


@cache
def stage_fingerprint(stage: str) -> str:
    """Fingerprint of the code of a stage, blind to comments, docstrings and layout."""
    folder = Path(__file__).parent
    sources = {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in STAGE_SOURCES[stage]}
    return key_of({name: code_without_prose(source) for name, source in sources.items()})[:16]


def code_without_prose(source: str) -> str:
    """Python source without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
