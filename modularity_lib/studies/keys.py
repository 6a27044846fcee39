"""Keys of results: what determines the outcome of each stage of one network, so that a change is noticed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from modularity_lib.images.dataset import load_dataset
from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.entries import key_of
from modularity_lib.studies.lineage import source_of
from modularity_lib.training.config import TrainingConfig

STAGES = ("training", "modules", "agreement")


@dataclass(frozen=True)
class NetworkKeys:
    """Keys of the three results of one network, and what each was made of."""

    of: dict[str, str]  # key of each stage
    ingredients: dict[str, dict[str, Any]]


def network_keys(config: TrainingConfig, study: Study, *, source: Callable[[str], str] | None = None) -> NetworkKeys:
    """Keys of a network's results in a study: each depends on all that determines it, the stage before included.

    Args:
        source: gives the fingerprint of a stage's code; by default that of the code as it is, see `lineage`.
    """
    ingredients: dict[str, dict[str, Any]] = {
        "training": {"dataset": dataset_checksum(study.dataset), **asdict(config), "hidden": list(config.hidden)},
        "modules": {"search_steps": study.search_steps, "seed": config.run},
        "agreement": {"permutations": study.permutations, "seed": config.run},
    }
    keys: dict[str, str] = {}
    for stage, parts in ingredients.items():
        parts |= {"stage": stage, "source": (source or source_of)(stage), "after": list(keys.values())[-1:]}
        keys[stage] = key_of(parts)
    return NetworkKeys(keys, ingredients)


@cache
def dataset_checksum(name: str) -> str:
    """`Dataset.sha256` of a dataset; where it is known, keys can be made without the images."""
    return DATASETS[name].content_sha256 or load_dataset(name).sha256
