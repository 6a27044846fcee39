"""Modules of hidden units in neural networks, from upstream and downstream information.

Five files are the method; read `training.plain`, `similarity.measures`, `clustering.modularity`, `clustering.search`
and `alignment.scores`, in this order. A public name is loaded when it is first used; PyTorch, Numba and Dask are
imported only when they are needed.
"""

# ruff: noqa: F401 - names imported here for type checkers are those in `_MODULES`

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modularity_lib.compiled_code import find_place

_MODULES = {
    "alignment.information": ("adjusted_mutual_information", "dirichlet_reduced_mutual_information"),
    "alignment.scores": (
        "agreement",
        "agreement_p_value",
        "element_centric_similarity",
        "expected_element_centric_similarity",
        "greedy_matching_score",
        "reduced_mutual_information",
        "similarity_spearman",
        "transfer",
        "variation_of_information",
    ),
    "analysis.significance": ("ModuleTest", "test_modules"),
    "analysis.analyses": ("Analysis",),
    "analysis.analyze": ("analyze",),
    "clustering.bound": ("modularity_bound",),
    "clustering.clusterings": ("Clustering", "load_modules"),
    "clustering.consensus": ("consensus_modules",),
    "clustering.matching": ("match_modules",),
    "clustering.modularity": ("AllUnitsDead", "modularity_score"),
    "clustering.paper_search": ("spectral_modules",),
    "clustering.search": ("find_modules",),
    "findings.comparison": ("compare_with_paper",),
    "images.dataset": ("Dataset", "load_dataset"),
    "images.sources": ("DatasetAltered", "DatasetUnavailable"),
    "similarity.measures": ("similarity_matrices",),
    "similarity.recordings": ("similarity_of_activity", "similarity_of_gradients"),
    "studies.archive": ("stored_matrices", "stored_network"),
    "studies.catalogue": ("STUDIES", "Study"),
    "studies.results": ("Results", "StudyIncomplete"),
    "studies.run": ("run_study",),
    "studies.shipped": ("ResultsAltered",),
    "studies.store": ("Store",),
    "training.config": ("TrainingConfig",),
    "training.networks": ("MLP", "Parameters", "network_of", "parameters_of"),
    "training.training": ("TrainedNetwork", "train"),
    "vocabulary": ("FAMILY", "MEASURES"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

find_place()  # before any module of the library is imported, some of which compile

__all__ = sorted(_MODULE_OF)

if TYPE_CHECKING:
    from modularity_lib.alignment.information import adjusted_mutual_information, dirichlet_reduced_mutual_information
    from modularity_lib.alignment.scores import (
        agreement,
        agreement_p_value,
        element_centric_similarity,
        expected_element_centric_similarity,
        greedy_matching_score,
        reduced_mutual_information,
        similarity_spearman,
        transfer,
        variation_of_information,
    )
    from modularity_lib.analysis.analyses import Analysis
    from modularity_lib.analysis.analyze import analyze
    from modularity_lib.analysis.significance import ModuleTest, test_modules
    from modularity_lib.clustering.bound import modularity_bound
    from modularity_lib.clustering.clusterings import Clustering, load_modules
    from modularity_lib.clustering.consensus import consensus_modules
    from modularity_lib.clustering.matching import match_modules
    from modularity_lib.clustering.modularity import AllUnitsDead, modularity_score
    from modularity_lib.clustering.paper_search import spectral_modules
    from modularity_lib.clustering.search import find_modules
    from modularity_lib.findings.comparison import compare_with_paper
    from modularity_lib.images.dataset import Dataset, load_dataset
    from modularity_lib.images.sources import DatasetAltered, DatasetUnavailable
    from modularity_lib.similarity.measures import similarity_matrices
    from modularity_lib.similarity.recordings import similarity_of_activity, similarity_of_gradients
    from modularity_lib.studies.archive import stored_matrices, stored_network
    from modularity_lib.studies.catalogue import STUDIES, Study
    from modularity_lib.studies.results import Results, StudyIncomplete
    from modularity_lib.studies.run import run_study
    from modularity_lib.studies.shipped import ResultsAltered
    from modularity_lib.studies.store import Store
    from modularity_lib.training.config import TrainingConfig
    from modularity_lib.training.networks import MLP, Parameters, network_of, parameters_of
    from modularity_lib.training.training import TrainedNetwork, train
    from modularity_lib.vocabulary import FAMILY, MEASURES
else:  # type checkers would believe that any name is there

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            from modularity_lib.vocabulary import did_you_mean

            raise AttributeError(
                f"module {__name__!r} has no attribute {name!r}.{did_you_mean(name, _MODULE_OF)}", name=name
            )
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # so that this is asked once
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
