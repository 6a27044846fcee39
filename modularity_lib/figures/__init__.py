"""Figures, drawn from the tables of a study alone; a colour means the same on every page.

One file for each chapter: `agreement.md` shows what `agreement` and `agreement_maps` draw, and so on. Read `style`
first, how things look. Imports `findings`, `studies.results`, `studies.catalogue`, `clustering` and `vocabulary`.
"""

from modularity_lib.figures.agreement import (
    agreement_against_dropout,
    agreement_against_dropout_table,
    chance_to_ceiling,
    chance_to_ceiling_table,
)
from modularity_lib.figures.agreement_maps import (
    agreement_beside_published,
    agreement_by_layer,
    agreement_by_layer_table,
    agreement_by_strength,
    agreement_by_strength_and_layer,
    agreement_by_strength_and_layer_table,
    agreement_by_strength_table,
    agreement_table,
    metric_agreement,
    metric_table,
)
from modularity_lib.figures.explorer import modules_looked_at
from modularity_lib.figures.ledger import published_against_ours
from modularity_lib.figures.measures import (
    against_dropout,
    against_dropout_table,
    all_measures,
    all_measures_table,
    pair_table,
    sorted_by_each_other,
)
from modularity_lib.figures.modularity import (
    measures_shown,
    modularity_against_regularisation,
    modularity_by_layer,
    modularity_of_measure,
    modularity_table,
)
from modularity_lib.figures.networks import QUANTITIES, performance_and_norms, performance_table
from modularity_lib.figures.scores import (
    scatter_of_scores,
    scatter_table,
    score_correlation_matrices,
    score_correlations_by_kind,
)
from modularity_lib.figures.speed import growth_curves
from modularity_lib.figures.style import LOOKS
from modularity_lib.figures.untrained import null_distributions, null_table

__all__ = [
    "LOOKS",
    "QUANTITIES",
    "against_dropout",
    "against_dropout_table",
    "agreement_against_dropout",
    "agreement_against_dropout_table",
    "agreement_beside_published",
    "agreement_by_layer",
    "agreement_by_layer_table",
    "agreement_by_strength",
    "agreement_by_strength_and_layer",
    "agreement_by_strength_and_layer_table",
    "agreement_by_strength_table",
    "agreement_table",
    "all_measures",
    "all_measures_table",
    "chance_to_ceiling",
    "chance_to_ceiling_table",
    "growth_curves",
    "measures_shown",
    "metric_agreement",
    "metric_table",
    "modularity_against_regularisation",
    "modularity_by_layer",
    "modularity_of_measure",
    "modularity_table",
    "modules_looked_at",
    "null_distributions",
    "null_table",
    "pair_table",
    "performance_and_norms",
    "performance_table",
    "published_against_ours",
    "scatter_of_scores",
    "scatter_table",
    "score_correlation_matrices",
    "score_correlations_by_kind",
    "sorted_by_each_other",
]
