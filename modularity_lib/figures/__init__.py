"""Figures, drawn from the tables of a study alone; a colour means the same on every page."""

from modularity_lib.figures.agreement import agreement_against_dropout, agreement_matrices
from modularity_lib.figures.explorer import modules_looked_at
from modularity_lib.figures.growth import growth_curves
from modularity_lib.figures.ledger import published_against_ours
from modularity_lib.figures.looks import LOOKS, MEASURE_LABELS
from modularity_lib.figures.matrices import all_measures, sorted_by_each_other
from modularity_lib.figures.modularity import (
    modularity_against_regularisation,
    modularity_by_layer,
    modularity_of_measure,
    modularity_table,
)
from modularity_lib.figures.performance import QUANTITIES, performance_and_norms, performance_table

__all__ = [
    "LOOKS",
    "MEASURE_LABELS",
    "QUANTITIES",
    "agreement_against_dropout",
    "agreement_matrices",
    "all_measures",
    "growth_curves",
    "modularity_against_regularisation",
    "modularity_by_layer",
    "modularity_of_measure",
    "modularity_table",
    "modules_looked_at",
    "performance_and_norms",
    "performance_table",
    "published_against_ours",
    "sorted_by_each_other",
]
