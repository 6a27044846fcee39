"""Modules of hidden units in neural networks, from upstream and downstream information."""

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
from modularity_lib.clustering.modularity import AllUnitsDead, modularity_score
from modularity_lib.clustering.search import Clustering, find_modules, spectral_modules
from modularity_lib.findings.comparison import compare_with_paper
from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.images.sources import DatasetAltered, DatasetUnavailable
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.studies.archive import stored_matrices, stored_network
from modularity_lib.studies.catalogue import STUDIES, Study
from modularity_lib.studies.results import Results, StudyIncomplete
from modularity_lib.studies.run import run_study
from modularity_lib.studies.shipped import ResultsAltered
from modularity_lib.studies.store import Store
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import MLP, Parameters
from modularity_lib.training.training import TrainedNetwork, train
from modularity_lib.vocabulary import FAMILY, MEASURES

__all__ = [
    "FAMILY",
    "MEASURES",
    "MLP",
    "STUDIES",
    "AllUnitsDead",
    "Clustering",
    "Dataset",
    "DatasetAltered",
    "DatasetUnavailable",
    "Parameters",
    "Results",
    "ResultsAltered",
    "Store",
    "Study",
    "StudyIncomplete",
    "TrainedNetwork",
    "TrainingConfig",
    "agreement",
    "agreement_p_value",
    "compare_with_paper",
    "element_centric_similarity",
    "expected_element_centric_similarity",
    "find_modules",
    "greedy_matching_score",
    "load_dataset",
    "modularity_score",
    "reduced_mutual_information",
    "run_study",
    "similarity_matrices",
    "similarity_spearman",
    "spectral_modules",
    "stored_matrices",
    "stored_network",
    "train",
    "transfer",
    "variation_of_information",
]
