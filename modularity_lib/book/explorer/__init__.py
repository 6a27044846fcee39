"""Look at every network of a run: what can be seen of it (`views`), and the page that shows it (`page`, `still`).

`front` is the small explorer of the front page. `packing` puts either into a page.
"""

from modularity_lib.book.explorer.front import BothSides, both_sides, front_data, front_page, kept_text
from modularity_lib.book.explorer.packing import LEVELS
from modularity_lib.book.explorer.page import page_data, page_of
from modularity_lib.book.explorer.still import chosen_layer, pairs_table, still, still_picture, texts, weights_label
from modularity_lib.book.explorer.views import (
    N_DIGITS,
    Digits,
    LayerView,
    Lesion,
    MeasureView,
    ModuleView,
    NetworkView,
    NothingToExplore,
    digits_for,
    exciting_digits,
    explore,
    first_strength,
    module_activity,
    pixel_weights,
    study_at_hand,
)

__all__ = [
    "LEVELS",
    "N_DIGITS",
    "BothSides",
    "Digits",
    "LayerView",
    "Lesion",
    "MeasureView",
    "ModuleView",
    "NetworkView",
    "NothingToExplore",
    "both_sides",
    "chosen_layer",
    "digits_for",
    "exciting_digits",
    "explore",
    "first_strength",
    "front_data",
    "front_page",
    "kept_text",
    "module_activity",
    "page_data",
    "page_of",
    "pairs_table",
    "pixel_weights",
    "still",
    "still_picture",
    "study_at_hand",
    "texts",
    "weights_label",
]
