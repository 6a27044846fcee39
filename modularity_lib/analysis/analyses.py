"""An analysis: all that was found of a network or a recording, to look at, to write down and to go on with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modularity_lib.analysis.pictures import figure_of
from modularity_lib.analysis.records import LayerModules, MeasuresCompared
from modularity_lib.analysis.report import page_of
from modularity_lib.extras import need_extra
from modularity_lib.files import file_to_write, write_whole
from modularity_lib.vocabulary import did_you_mean, some_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Analysis:
    """Modules of the layers of a network, or of a recording, by each measure.

    `analysis["layer4", "input_gradient"]` is one of `results`.
    """

    title: str
    results: tuple[LayerModules, ...] = field(repr=False)  # layer by layer
    comparisons: tuple[MeasuresCompared, ...] = field(repr=False)  # of every two measures of a layer
    made_with: Mapping[str, Any] = field(repr=False)  # arguments, seed, versions, date, seconds

    def __getitem__(self, place: tuple[str, str]) -> LayerModules:
        by_place = {(result.layer, result.measure): result for result in self.results}
        if place in by_place:
            return by_place[place]
        layer, measure = place if isinstance(place, tuple) and len(place) == 2 else (place, None)
        layers, measures = self.layers, self.measures
        near = did_you_mean(layer, layers) if layer not in layers else did_you_mean(measure, measures)
        raise KeyError(
            f"an analysis is asked for a layer and a measure, got {place!r}.{near} It has the layers {some_of(layers)} "
            f"and the measures {some_of(measures)}."
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        return tuple(dict.fromkeys(result.layer for result in self.results))

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures."""
        return tuple(dict.fromkeys(result.measure for result in self.results))

    def to_frame(self) -> "pd.DataFrame":
        """A row for each layer and measure; a row for each null, too, where there are several.

        Columns: layer, measure, status ("ok" or "all_units_dead"), reason, units, dead_units, modules (their count),
        score (Q), bound (on Q of any partition), proven (whether Q is the largest there is), confidence (mean over the
        units), core_units, partitions (different ones that the searches ended in), null, null_mean, null_sd, z, p.
        Where a null does not go with a measure, p is NaN and the reason says why.
        """
        import pandas as pd

        return pd.DataFrame([row for result in self.results for row in _rows(result)])

    def units_to_frame(self) -> "pd.DataFrame":
        """A row for each unit of each layer, by each measure: what the modules are, unit by unit.

        Columns: layer, measure, unit (its name, or its number), module (-1 = dead unit), consensus (its module there),
        confidence (NaN = dead unit), core; then what is the same for all units of the layer: score (Q), and p by each
        null, as "p independent-units"; NaN where the null does not go with the measure.
        """
        import pandas as pd

        return pd.concat([_units(result) for result in self.results], ignore_index=True)

    def comparisons_to_frame(self) -> "pd.DataFrame":
        """A row for every two measures of a layer: layer, measure_a, measure_b, agreement, chance, p, reason."""
        import pandas as pd

        return pd.DataFrame([vars(comparison) for comparison in self.comparisons])

    def plot(self) -> "Figure":
        """Draw the matrices in the order of their modules: a row for each layer, a column for each measure."""
        need_extra("plot", "The picture of an analysis needs", "matplotlib")
        return figure_of(self.results)

    def report(self, path: str | Path) -> Path:
        """Write all of it into one HTML page, which needs no network to be read.

        Args:
            path: of the page; it is replaced at once, when the page is complete.
        Returns:
            The path.
        Raises:
            ValueError: path is no path of a file that can be written.
        """
        place = file_to_write("path", path)
        page = page_of(self.title, self.results, self.comparisons, self.made_with)
        write_whole(place, page.encode())
        return place


def _units(result: LayerModules) -> "pd.DataFrame":
    table, consensus = result.modules.to_frame(), result.consensus
    table.insert(0, "layer", result.layer)
    table.insert(1, "measure", result.measure)
    table["consensus"] = -1 if consensus is None else consensus.labels
    table["confidence"] = np.nan if consensus is None else consensus.confidence
    table["core"] = False if consensus is None else consensus.core
    return table.assign(score=result.modules.score, **{f"p {test.null}": test.p for test in result.tests})


def _rows(result: LayerModules) -> list[dict[str, Any]]:
    modules, bound, consensus = result.modules, result.bound, result.consensus
    row = {
        "layer": result.layer,
        "measure": result.measure,
        "status": modules.status,
        "reason": modules.reason,
        "units": len(modules.labels),
        "dead_units": result.dead_units,
        "modules": len(modules.communities()),
        "score": modules.score,
        "bound": np.nan if bound is None else bound.upper,
        "proven": result.is_proven,
        "confidence": np.nan if consensus is None else float(np.nanmean(consensus.confidence)),
        "core_units": 0 if consensus is None else int(np.count_nonzero(consensus.core)),
        "partitions": 0 if consensus is None else consensus.n_partitions,
    }
    tested: list[dict[str, Any]] = [
        {
            "null": test.null,
            "null_mean": float(np.mean(test.null_scores)),
            "null_sd": float(np.std(test.null_scores, ddof=1)) if len(test.null_scores) > 1 else np.nan,
            "z": test.z,
            "p": test.p,
        }
        for test in result.tests
    ]
    nothing = {"null_mean": np.nan, "null_sd": np.nan, "z": np.nan, "p": np.nan}
    tested += [{"null": null, **nothing, "reason": reason} for null, reason in result.untested.items()]
    return [{**row, **test} for test in tested or [{"null": "", **nothing}]]
