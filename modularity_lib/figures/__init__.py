"""Figures, each drawn from a table alone; a colour means the same on every page.

`figures.agreement_maps(results)` draws, `figures.agreement_maps.table(results)` is what it shows (`plot`). Mostly one
file for each chapter: `agreement.md` shows what `agreement` and `agreement_maps` draw. Read `style` first: it sets how
things look. Imports `findings`, `studies.results`, `studies.catalogue`, `clustering` and `vocabulary`.
"""

from modularity_lib.extras import need_extra

need_extra("book", "Figures of the book need", "matplotlib", "seaborn")

from modularity_lib.figures.agreement import agreement_against_dropout, chance_to_ceiling
from modularity_lib.figures.agreement_maps import agreement_by_strength, agreement_maps, metric_agreement
from modularity_lib.figures.claims import claims_across_studies
from modularity_lib.figures.common_mode import (
    q_beside_nulls,
    q_of_rotated_units,
    similarity_within_and_across,
)
from modularity_lib.figures.explorer import both_sides_looked_at, modules_looked_at
from modularity_lib.figures.ledger import published_against_ours
from modularity_lib.figures.lesions import lost_beside_neighbours, lost_without_modules
from modularity_lib.figures.live_units import agreement_over_both
from modularity_lib.figures.measures import against_dropout, all_measures, sorted_by_each_other
from modularity_lib.figures.modularity import modularity_against_regularisation
from modularity_lib.figures.modules import floor_and_common_factor, gaps_of_methods, near_optima, p_values_of_tests
from modularity_lib.figures.networks import performance_and_norms
from modularity_lib.figures.scores import scatter_of_scores, score_correlation_matrices, score_correlations_by_kind
from modularity_lib.figures.speed import growth_curves
from modularity_lib.figures.style import LOOKS
from modularity_lib.figures.two_sides import (
    balance_against_l2,
    transfer_against_dropout,
    two_sides_against_regularisation,
)
from modularity_lib.figures.untrained import null_distributions
from modularity_lib.figures.why_dropout import (
    accuracy_of_signals,
    copies_against_dropout,
    course_of_training,
    linear_against_rectified,
)

__all__ = [
    "LOOKS",
    "accuracy_of_signals",
    "against_dropout",
    "agreement_against_dropout",
    "agreement_by_strength",
    "agreement_maps",
    "agreement_over_both",
    "all_measures",
    "balance_against_l2",
    "both_sides_looked_at",
    "chance_to_ceiling",
    "claims_across_studies",
    "copies_against_dropout",
    "course_of_training",
    "floor_and_common_factor",
    "gaps_of_methods",
    "growth_curves",
    "linear_against_rectified",
    "lost_beside_neighbours",
    "lost_without_modules",
    "metric_agreement",
    "modularity_against_regularisation",
    "modules_looked_at",
    "near_optima",
    "null_distributions",
    "p_values_of_tests",
    "performance_and_norms",
    "published_against_ours",
    "q_beside_nulls",
    "q_of_rotated_units",
    "scatter_of_scores",
    "score_correlation_matrices",
    "score_correlations_by_kind",
    "similarity_within_and_across",
    "sorted_by_each_other",
    "transfer_against_dropout",
    "two_sides_against_regularisation",
]
