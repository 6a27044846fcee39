"""The command `modularity analyze`: a network or a recording on disk, and a page that shows its modules."""

import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from modularity_lib.analysis.reading import AnalysisFailed, array_in, first_line, inputs_in
from modularity_lib.vocabulary import did_you_mean

_FILE = click.Path(path_type=Path)
_SHOWN = ("layer", "measure", "units", "dead_units", "modules", "score", "bound", "confidence", "null", "p")


@click.command()
@click.option("--activity", type=_FILE, help="A recording: .npy, .npz or .csv of shape (samples, units).")
@click.option("--model", metavar="PACKAGE:FUNCTION", help="A function that gives a torch.nn.Module, with its weights.")
@click.option(
    "--inputs",
    type=_FILE,
    multiple=True,
    help="What the model is measured on: .npy, .npz or .csv, inputs first. Once for each input it takes, or an .npz "
    "that holds them by the names of its arguments.",
)
@click.option("--labels", type=_FILE, help="Label or target of each input. Only output_hessian needs them.")
@click.option(
    "--layers",
    multiple=True,
    metavar="NAMES",
    help="Layers of the model as named_modules() calls them, with commas between them. Best is an activation function.",
)
@click.option(
    "--measures",
    multiple=True,
    metavar="NAMES",
    help="With commas between them: input_covariance, input_gradient, output_gradient, output_hessian, each of them "
    "also with _norm. Default: all, of a recording the first and its _norm.",
)
@click.option(
    "--units", multiple=True, metavar="LAYER=AXIS", help="The axis of the units of a layer, as layer4=1 for channels."
)
@click.option("--positions", metavar="HOW", help="average (the default), pool, or the number of one position.")
@click.option("--output", metavar="PACKAGE:FUNCTION", help="Maps what the model returns to (inputs, outputs).")
@click.option(
    "--loss",
    metavar="NAME",
    help="cross-entropy (the default), binary-cross-entropy, mean-squared-error, or PACKAGE:FUNCTION.",
)
@click.option("--curvature", metavar="NAME", help="hessian (the default) or gauss-newton.")
@click.option("--inputs-at", metavar="LAYER", help="The layer by whose output the input gradient is taken.")
@click.option(
    "--calls", multiple=True, metavar="LAYER=INDEX", help="Which call of a layer that is called several times."
)
@click.option("--batch-size", type=int, help="Inputs in one pass.")
@click.option("--signed", is_flag=True, help="Keep the sign of the similarity of a recording.")
@click.option(
    "--null",
    multiple=True,
    metavar="NAMES",
    help="What chance means, with commas between several. Of a recording: independent-units (the default), "
    "shifted-units for time courses; of a model permuted-inputs, rotated-units; of both shuffled-pairs and "
    "random-directions (the default of a model).",
)
@click.option("--draws", type=int, help="Draws of each null. Default: 199.")
@click.option("--searches", type=int, help="Searches for the consensus. Default: 100.")
@click.option("--seconds", type=float, help="Seconds for the bound of one matrix. Default: 5.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--report", type=_FILE, help="Write a page (HTML) with pictures, modules and tests to this file.")
@click.option("--csv", type=_FILE, help="Write a table with the module of each unit to this file, and how sure it is.")
@click.option("--quiet", is_flag=True, help="No progress, no table.")
def analyze(
    activity: Path | None,
    model: str | None,
    inputs: tuple[Path, ...],
    labels: Path | None,
    report: Path | None,
    csv: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Find the modules of a network or of a recording, and say how sure they are.

    \b
    Example:
      modularity analyze --activity spikes.npy --report report.html
      modularity analyze --model mypackage:build --inputs x.npy --labels y.npy --layers act --report report.html

    In mypackage.py, in this folder or on PYTHONPATH, build() makes the model and loads its weights.

    A row is printed for each layer, measure and null. score is Q, the modularity; no way to part the units has a Q
    above bound. confidence, 0 to 1, says how firmly searches agree. p is the share of draws of the null with such a
    Q: small if Q is larger than chance makes it. The report shows the modules; --csv keeps them for other
    programs.
    """
    if (activity is None) == (model is None):
        raise click.UsageError("Give --activity for a recording, or --model with --inputs for a network.")
    if quiet and report is None and csv is None:
        raise click.UsageError("--quiet goes with --report or --csv: without them nothing would be told or kept.")
    try:
        from modularity_lib.files import file_to_write, write_whole

        settings = _settings(options)
        places = {name: file_to_write(name, at) for name, at in (("--report", report), ("--csv", csv)) if at}
        given = _of_recording(activity, inputs, labels) if activity else _of_network(model or "", inputs, labels)
        from modularity_lib.analysis.analyze import analyze as analysis_of

        with warnings.catch_warnings():
            warnings.showwarning = _in_one_line
            analysis = analysis_of(*given, **settings, progress=False if quiet else None)
        if not quiet:
            table = analysis.to_frame()[[*_SHOWN]]
            table[["score", "bound"]] = table[["score", "bound"]].round(6) + 0.0  # no 1e-17, and no minus before a 0
            click.echo(table.to_string(index=False, float_format="%.4g", na_rep="-"))
            if not places:
                click.echo(
                    "Nothing was kept: --report FILE writes a page, --csv FILE the module of each unit.", err=True
                )
        if csv is not None:
            write_whole(places["--csv"], analysis.units_to_frame().to_csv(index=False).encode())
            click.echo(f"modules of the units: {places['--csv']}")
        if report is not None:
            click.echo(f"report: {analysis.report(report)}")
    except ValueError as error:
        # Of a recording the library says, too, that it took what is no network for one.
        own = error.__cause__ if activity is not None and isinstance(error.__cause__, ValueError) else error
        raise click.UsageError(first_line(own)) from error
    except (OSError, AnalysisFailed, click.ClickException):
        raise
    except Exception as error:  # of the model, which is somebody else's code
        raise AnalysisFailed(
            f"the analysis failed with {type(error).__name__}: {first_line(error)} (modularity_lib.analyze, called in "
            "Python, shows where)"
        ) from error


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as arguments of `analyze`."""
    settings: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or value == () or value is False:
            continue
        if name in ("layers", "measures", "null"):
            value = [part.strip() for text in value for part in text.split(",") if part.strip()]
        elif name in ("units", "calls"):
            value = dict(_pair(name, text) for text in value)
        elif name == "positions":
            value = int(value) if value.lstrip("+-").isdigit() else value
        elif name == "output" or (name == "loss" and ":" in value):
            value = _loaded(f"--{name}", value)
        settings[name] = value
    return settings


def _pair(name: str, text: str) -> tuple[str, int]:
    layer, is_there, number = text.rpartition("=")
    if not is_there or not layer or not number.lstrip("+-").isdigit():
        raise ValueError(f"--{name} must be LAYER=NUMBER, such as layer4=1, got {text!r}.")
    return layer, int(number)


def _of_recording(activity: Path, inputs: tuple[Path, ...], labels: Path | None) -> tuple[Any, ...]:
    if inputs or labels is not None:
        raise ValueError(f"--{'inputs' if inputs else 'labels'} goes with --model; a recording is --activity alone.")
    return (array_in("--activity", activity),)


def _of_network(model: str, inputs: tuple[Path, ...], labels: Path | None) -> tuple[Any, ...]:
    if not inputs:
        raise ValueError("--inputs must be given with --model: the file of what the model is measured on.")
    values = [inputs_in(path) for path in inputs]  # before the model, which may take long to be made
    targets = None if labels is None else array_in("--labels", labels)
    import torch

    network = _loaded("--model", model)
    if not isinstance(network, torch.nn.Module):
        network = _made("--model", model, network)
    if not isinstance(network, torch.nn.Module):
        raise ValueError(f"--model must give a torch.nn.Module, got {type(network).__name__} from {model}.")
    return network, values[0] if len(values) == 1 else tuple(values), targets


def _loaded(option: str, place: str) -> Any:
    """What PACKAGE:FUNCTION names, found from the current folder too, as `python -m` finds it."""
    module, is_there, name = place.partition(":")
    if not is_there or not module or not name:
        raise ValueError(f"{option} must be PACKAGE:FUNCTION, such as mypackage:build, got {place!r}.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise AnalysisFailed(f"{option}: {module} imports {error.name}, which is not installed.") from error
        raise ValueError(
            f"{option} must name a module that Python finds here, got {module!r}. Go to the folder that holds it, or "
            "name that folder in PYTHONPATH."
        ) from error
    except Exception as error:
        raise AnalysisFailed(
            f"{option}: {module} cannot be imported: {type(error).__name__}: {first_line(error)}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{option}: {module} has no {part!r}.{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found


def _made(option: str, place: str, build: Callable[[], Any]) -> Any:
    if not callable(build):
        raise ValueError(f"{option} must name a function without arguments, got {type(build).__name__} at {place}.")
    try:
        return build()
    except Exception as error:
        raise AnalysisFailed(f"{option}: {place}() failed with {type(error).__name__}: {first_line(error)}") from error


def _in_one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"modularity: warning: {first_line(message)}", err=True)
