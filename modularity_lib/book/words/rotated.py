"""Words on units rotated before their ReLU, and on how often the rule errs with and without that null."""

from fractions import Fraction

import pandas as pd
from scipy import stats

from modularity_lib.book.words.prose import interval_text, listed, markdown, markdown_of, percent
from modularity_lib.findings import made_up_rises, rotated
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.rises import CLEAR, MODULES, MOST, strongest
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import MEASURE_LABELS, REGULARISERS, strength_text

RUNS = 9  # of v1, for the chance that an answer over so many made-up pairs is wrong


def texts(turned: pd.DataFrame | None, missing: str, results: Results) -> dict[str, str]:
    """What rotated units show of the rises, in sentences.

    Args:
        turned: the table of the finding `rotated`, if it is at hand.
        missing: what is missing, if it is not.
    """
    absent = {"rotated_n": "no network", "rotated_pilots": "", "rotated_caption": "Not at hand for this study"}
    if turned is None:
        return absent | {"rotated_places": missing}
    found = rotated.rises(turned, results)
    last = strongest(found)
    excess, share = rotated.excess_over_runs(last), rotated.share_of_rise(last)
    if excess is None:
        none = "No network with dropout was analysed, so there is no rise for rotated units to show."
        return absent | {"rotated_places": none}
    networks, runs = len(turned[["run", *REGULARISERS]].drop_duplicates()), turned["run"].nunique()
    above = (
        f"At dropout {strength_text(last['strength'].iloc[0])} Q of upstream measures lies {excess.mean:.3f}"
        f"{interval_text(excess, before=' ')} above that of rotated units."
    )
    shown, rise = "Rotated units show no rise of Q, since there is none", ""
    if share is not None:
        shown = f"Rotated units show {percent(share.mean)} of the rise of Q upstream"
        rise = f"Rotated units show {share_text(share)} of the upstream rise{_places_text(last)}. "
        above += " What they show needs no modules: the inputs and the dimensions of a layer are enough for it."
    return {
        "rotated_caption": shown,
        "rotated_places": f"{rise}{above}",
        "rotated_n": f"{networks:,} networks of {runs} of {results.study.runs} runs",
        "rotated_pilots": _pilots_text(found) if results.study.name == "v1" else "",
    }


def share_text(effect: Effect | None) -> str:
    """A share in percent with its 95 % interval; "–" without one."""
    if effect is None:
        return "–"
    known = effect.low is not None and effect.high is not None
    return percent(effect.mean) + (f" [{', '.join(map(percent, effect.bounds))}]" if known else "")


def _places_text(last: pd.DataFrame) -> str:
    """The share in each measure and layer, smallest first, if there is more than one."""
    shares: dict[str, float] = {}
    for measure in rotated.MEASURES:
        for layer in sorted(last["layer"].unique()):
            share = rotated.share_of_rise(last[(last["measure"] == measure) & (last["layer"] == layer)])
            if share is not None:
                shares[f"the {MEASURE_LABELS[measure]} in layer {layer}"] = share.mean
    if len(shares) < 2:
        return ""
    return ": " + listed(f"{percent(shares[place])} for {place}" for place in sorted(shares, key=shares.__getitem__))


def scores_markdown(turned: pd.DataFrame | None, results: Results) -> str:
    """Markdown table of Q at some strengths: as found / of rotated units / at matched rates; and shares of the rise."""
    found = pd.DataFrame() if turned is None else rotated.rises(turned, results)
    if turned is None or found.empty:
        return "There are no numbers of rotated units for this study."
    table = sweep(turned, results.study, "dropout")
    strongest_one = strongest(found)["strength"].max()
    shown = [strength for strength in (0.0, *rotated.SHOWN) if strength < strongest_one] + [strongest_one]
    shown = [strength for strength in shown if (table["strength"] == strength).any()]
    names = ["score", "score_rotated", "score_matched"]
    lines = []
    for measure in rotated.MEASURES:
        for layer in sorted(table["layer"].unique()):
            here, risen = (rows[(rows["measure"] == measure) & (rows["layer"] == layer)] for rows in (table, found))
            means = here.groupby("strength")[names].mean()
            cells = [" / ".join(f"{means.loc[strength, name]:.3f}" for name in names) for strength in shown]
            share = rotated.share_of_rise(risen[risen["strength"] == strongest_one])
            lines.append([MEASURE_LABELS[measure], layer, *cells, share_text(share)])
    pooled = [share_text(rotated.share_of_rise(found[found["strength"] == strength])) for strength in shown]
    lines.append(["share of the rise", "all", "", *pooled[1:], pooled[-1]])
    heads = [f"dropout {strength_text(strength)}" for strength in shown]
    return markdown(["measure", "layer", *heads, f"share of the rise, {heads[-1]}"], lines)


def _pilots_text(found: pd.DataFrame) -> str:
    """Whether the numbers of the pilot on three runs lie within the intervals of all runs."""
    beside = rotated.pilots_beside(found)
    if beside.empty or beside["low"].isna().any():
        return ""
    lines = [
        f"{row['what']} at dropout {row['strength']:g}, {percent(row['pilot'])} there, {percent(row['mean'])} "
        f"[{percent(row['low'])}, {percent(row['high'])}] here"
        for row in beside[~beside["holds"]].to_dict("records")
    ]
    others = f" The others: {'; '.join(lines)}." if lines else ""
    return (
        f"Of {len(beside)} shares that a pilot on three of these runs gave, {int(beside['holds'].sum())} lie within "
        f"the intervals of all runs.{others}"
    )


def made_up_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `made_up_rises.called_table`."""
    cells = {
        "made-up change": "{case}",
        "in truth": "{truth}",
        "pairs": "{pairs}",
        "rise of Q": "{rise:+.3f}",
        "called modules by two nulls": "{modules_by_weak_nulls}",
        "with rotated units": "{modules} ({low} to {high})",
    }
    called = made_up_rises.called_table(table)
    ends = {end: called[f"modules_{end}"].map(percent) for end in ("low", "high")}
    return markdown_of(called.assign(**ends), cells)


def made_up_text(table: pd.DataFrame) -> str:
    """False positives and power of the rule on made-up pairs, in sentences."""
    called = made_up_rises.called_table(table)
    without, planted = (called[called["truth"] == truth] for truth in (made_up_rises.NOTHING, MODULES))
    rectified = without[without["case"].str.startswith("ReLU units")]
    worst = without.iloc[int(without["modules"].argmax())]
    needed = Fraction(MOST).limit_denominator(10)
    fooled = stats.binom.sf(-(-RUNS * needed // 1) - 1, RUNS, without["modules"] / without["pairs"]) >= 1 / 20
    return (
        f"Of {without['pairs'].sum():,} pairs without modules the rule calls {_rate(without, 'modules')} modules with "
        f"rotated units, and {_rate(without, 'modules_by_weak_nulls')} without them. Of those of random ReLU units it "
        f"is {_rate(rectified, 'modules')} with rotated units, and {_rate(rectified, 'modules_by_weak_nulls')} without "
        f"them. Of {planted['pairs'].sum():,} pairs with planted modules it finds {_rate(planted, 'modules')}. One "
        f"pair is no test, as Q of so few units scatters by about the limit of {CLEAR:g}. So the answer asks for "
        f"{needed} of the rises. Of {RUNS} pairs without modules so many would be called modules in one of twenty "
        f"tries or more in {int(fooled.sum())} of the {len(without)} cases. The rule errs most for {worst['case']}: "
        f"{percent(worst['modules'] / worst['pairs'])}."
    )


def made_up_short(table: pd.DataFrame) -> str:
    """False positives and power in a few sentences."""
    rates = made_up_rises.error_rates(made_up_rises.called_table(table))
    return (
        f"Where there are no modules, the rule says “modules” in {percent(rates.wrong)} of the pairs, and in the "
        f"worst case in {percent(rates.worst)}. Without rotated units, as downstream, it says so in "
        f"{percent(rates.weak)}. Where modules were planted, it finds them in {percent(rates.found)}."
    )


def _rate(called: pd.DataFrame, name: str) -> str:
    return percent(called[name].sum() / called["pairs"].sum())
