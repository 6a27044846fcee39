"""Words on transfer of Q: what a layer keeps under the other family's modules, and why the same units agree less."""

from typing import NamedTuple

import pandas as pd

from modularity_lib.book.words.prose import listed, percent
from modularity_lib.findings.transfer import ALL_LAYERS, REVIEWED, Merged
from modularity_lib.studies.results import rows_at

_ROUNDING = 0.005  # numbers of a review have two decimals


class Number(NamedTuple):
    """A mean with its bounds, as text with its interval if there is one."""

    mean: float
    low: float
    high: float
    n_runs: int

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (f" [{self.low:.2f}, {self.high:.2f}]" if self.n_runs > 1 else "")

    @property
    def percent(self) -> str:
        """The same in percent."""
        ends = f" [{percent(self.low)}, {percent(self.high)}]" if self.n_runs > 1 else ""
        return percent(self.mean) + ends


def texts(transfer: pd.DataFrame, together: pd.DataFrame, merged: Merged) -> dict[str, str]:
    """How much of its Q a layer keeps under the other family's modules, and why the same units agree less.

    Args:
        transfer, together: of `findings.transfer.transfer_table` and `together_table`.
        merged: of `findings.transfer.merged_in_pairs`.
    """
    across = transfer[transfer["kind"] == "across"]
    strongest, layers = across["strength"].max(), sorted(set(across["layer"]) - {ALL_LAYERS})
    plain, end = ends_of_transfer(across)
    agreement = _transfer(across, strongest, quantity="corrected")
    by_layer = [
        f"{_transfer(across, 0.0, layer=layer).percent} and {_transfer(across, strongest, layer=layer).percent} in "
        f"layer {layer}"
        for layer in layers
    ]
    within = [
        f"{_transfer(transfer[transfer['kind'] == kind], 0.0).percent} and "
        f"{_transfer(transfer[transfer['kind'] == kind], strongest).percent} for two {kind} measures"
        for kind in ("upstream", "downstream")
    ]
    at_end = together[together["strength"] == strongest].to_dict("records")
    pairs = [
        f"{percent(row['together'])} of the pairs of units in one {row['given']} module share a module of the other "
        f"family ({percent(row['chance'])} of all pairs do)"
        for row in at_end
    ]
    reviewed = {strength: value for strength, value in REVIEWED.items() if strength in set(across["strength"])}
    held = [_holds(value, _transfer(across, strength)) for strength, value in reviewed.items()]
    return {
        "sides_transfer_head": (
            "With dropout a layer keeps more of its Q under the other family's modules."
            if rises(plain, end)
            else "With dropout a layer does not clearly keep more of its Q under the other family's modules."
        ),
        "sides_transfer": (
            f"A layer keeps {plain.percent} of its Q without dropout and {end.percent} at dropout {strongest:g}."
        ),
        "sides_transfer_places": (
            f"Without dropout and at {strongest:g}, across the families a layer keeps {listed(by_layer)}. Within the "
            f"families it keeps {listed(within)} (means over layers)."
        ),
        "sides_why_lower": (
            f"At dropout {strongest:g} a layer keeps {percent(end.mean)}, but the same modules agree by only "
            f"{agreement}. Agreement asks for the same units. Transfer asks only that Q is not lost, and Q loses "
            "little where modules are merged, split or wrong at their edges."
        ),
        "sides_merged": (
            "If one family's modules were those of the other merged in pairs, and nothing else differed, transfer "
            f"would be {percent(merged.transfer)} and agreement {merged.corrected:.2f}. At dropout {strongest:g}, "
            f"{listed(pairs)}."
        ),
        "sides_transfer_known": (
            f"We had seen transfer at {len(reviewed)} strengths before we wrote this page. Of these numbers "
            f"{sum(held)} lie within the intervals."
        ),
    }


def ends_of_transfer(across: pd.DataFrame) -> tuple[Number, Number]:
    """Without dropout, and at the strongest."""
    return _transfer(across, 0.0), _transfer(across, across["strength"].max())


def rises(first: Number, end: Number) -> bool:
    """Whether the second is clearly larger: the intervals are apart."""
    return end.low > first.high


def _transfer(rows: pd.DataFrame, strength: float, *, layer: int = ALL_LAYERS, quantity: str = "transfer") -> Number:
    row = rows_at(rows, strength=strength, layer=layer, quantity=quantity).iloc[0]
    return Number(row["mean"], row["low"], row["high"], int(row["n_runs"]))


def _holds(value: float, number: Number) -> bool:
    return number.low - _ROUNDING <= value <= number.high + _ROUNDING
