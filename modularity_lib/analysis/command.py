"""The command `modularity analyze`: a network or a recording on disk, and a page that shows its modules."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

_FILE = click.Path(path_type=Path)
_LONGEST = 400  # characters of an error of somebody else's code


class AnalysisFailed(RuntimeError):
    """What the command was given cannot be read, or fails when it is run; the message is one line."""


@click.command()
@click.option("--activity", type=_FILE, help="A recording: .npy, .npz or .csv of shape (samples, units).")
@click.option("--model", metavar="PACKAGE:FUNCTION", help="A function that gives a torch.nn.Module, with its weights.")
@click.option(
    "--inputs", type=_FILE, multiple=True, help="What the model is measured on; once for each input it takes."
)
@click.option("--labels", type=_FILE, help="Label or target of each input.")
@click.option("--layers", multiple=True, metavar="NAMES", help="Names of layers, with commas between them.")
@click.option("--measures", multiple=True, metavar="NAMES", help="Names of measures, with commas between them.")
@click.option("--units", multiple=True, metavar="LAYER=AXIS", help="The axis of the units of a layer.")
@click.option("--positions", metavar="HOW", help="average, pool, or the number of one position.")
@click.option("--output", metavar="PACKAGE:FUNCTION", help="Maps what the model returns to (inputs, outputs).")
@click.option("--loss", metavar="NAME", help="Name of a loss, or PACKAGE:FUNCTION.")
@click.option("--curvature", metavar="NAME", help="hessian or gauss-newton.")
@click.option("--inputs-at", metavar="LAYER", help="The layer by whose output the input gradient is taken.")
@click.option(
    "--calls", multiple=True, metavar="LAYER=INDEX", help="Which call of a layer that is called several times."
)
@click.option("--batch-size", type=int, help="Inputs in one pass.")
@click.option("--signed", is_flag=True, help="Keep the sign of the similarity of a recording.")
@click.option("--null", multiple=True, metavar="NAMES", help="Nulls of the test, with commas between them.")
@click.option("--draws", type=int, help="Draws of each null. Default: 199.")
@click.option("--searches", type=int, help="Searches for the consensus. Default: 100.")
@click.option("--seconds", type=float, help="Seconds for the bound of one matrix. Default: 5.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--report", type=_FILE, help="Write the page with pictures, modules and tests to this file.")
@click.option("--quiet", is_flag=True, help="No progress, no table.")
def analyze(
    activity: Path | None,
    model: str | None,
    inputs: tuple[Path, ...],
    labels: Path | None,
    report: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Find the modules of a network or of a recording, and say how sure they are.

    \b
    Example:
      modularity analyze --activity spikes.npy --report report.html
      modularity analyze --model mypackage:build --inputs x.npy --labels y.npy --layers act --report report.html
    """
    if (activity is None) == (model is None):
        raise click.UsageError("Give --activity for a recording, or --model with --inputs for a network.")
    try:
        settings = _settings(options)
        if report is not None:
            from modularity_lib.files import file_to_write

            file_to_write("--report", report)
        given = _of_recording(activity, inputs, labels) if activity else _of_network(model or "", inputs, labels)
        from modularity_lib.analysis.analyze import analyze as analysis_of

        with warnings.catch_warnings():
            warnings.showwarning = _in_one_line
            analysis = analysis_of(*given, **settings, progress=False if quiet else None)
        if not quiet:
            columns = [
                "layer",
                "measure",
                "units",
                "dead_units",
                "modules",
                "score",
                "bound",
                "confidence",
                "null",
                "p",
            ]
            click.echo(analysis.to_frame()[columns].to_string(index=False, float_format="%.4g", na_rep="-"))
        if report is not None:
            click.echo(f"report: {analysis.report(report)}")
    except ValueError as error:
        raise click.UsageError(_first_line(error)) from error
    except (OSError, AnalysisFailed, click.ClickException):
        raise
    except Exception as error:  # of the model, which is somebody else's code
        raise AnalysisFailed(
            f"the analysis failed with {type(error).__name__}: {_first_line(error)} (modularity_lib.analyze, called in "
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
    return (_array("--activity", activity),)


def _of_network(model: str, inputs: tuple[Path, ...], labels: Path | None) -> tuple[Any, ...]:
    if not inputs:
        raise ValueError("--inputs must be given with --model: the file of what the model is measured on.")
    values = [_inputs(path) for path in inputs]  # before the model, which may take long to be made
    targets = None if labels is None else _array("--labels", labels)
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
            f"{option}: {module} cannot be imported: {type(error).__name__}: {_first_line(error)}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            from modularity_lib.vocabulary import did_you_mean

            raise ValueError(f"{option}: {module} has no {part!r}.{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found


def _made(option: str, place: str, build: Callable[[], Any]) -> Any:
    if not callable(build):
        raise ValueError(f"{option} must name a function without arguments, got {type(build).__name__} at {place}.")
    try:
        return build()
    except Exception as error:
        raise AnalysisFailed(f"{option}: {place}() failed with {type(error).__name__}: {_first_line(error)}") from error


def _inputs(path: Path) -> Any:
    """An array; or, of an .npz file with several, a dictionary of them, by the names of the model's arguments."""
    import numpy as np

    value = _read("--inputs", path)
    return {name: np.array(one) for name, one in value.items()} if isinstance(value, dict) else np.array(value)


def _array(option: str, path: Path) -> Any:
    value = _read(option, path)
    if isinstance(value, dict):
        from modularity_lib.vocabulary import some_of

        raise ValueError(f"{option} must hold one array, got {len(value)} in {path}: {some_of(value)}.")
    return value


def _read(option: str, path: Path) -> Any:
    """What a file holds: an array, that of .npy on disk still; a table, whose heads are the names of the units; or
    {name: array} of an .npz file with several."""
    kind = path.suffix.lower()
    if kind not in (".npy", ".npz", ".csv"):
        raise ValueError(f"{option} must be a file of .npy, .npz or .csv, got {path}. numpy.save writes the first.")
    if not path.is_file():
        raise ValueError(f"{option} must be a file that exists, got {path}.")
    try:
        return _table(path) if kind == ".csv" else _arrays(path)
    except OSError as error:
        why = error.strerror or _first_line(error)
        raise AnalysisFailed(f"{option}: {path} cannot be read: {why}.") from error
    except Exception as error:  # of whatever the damage leads to
        raise AnalysisFailed(f"{option}: {path} cannot be read as numbers: {_first_line(error)}") from error


def _arrays(path: Path) -> "np.ndarray | dict[str, np.ndarray]":
    import numpy as np

    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    with found as archive:
        arrays = {name: archive[name] for name in archive.files}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _table(path: Path) -> Any:
    import pandas as pd

    table = pd.read_csv(path)
    unnamed = [name for name in table.columns if str(name).startswith("Unnamed: ")]  # pandas calls them so
    if unnamed:
        raise ValueError(
            f"{path} must name every column, as each is a unit, got {len(unnamed)} without a name. If it is the index "
            "of a DataFrame, write the file by .to_csv(path, index=False)."
        )
    return table


def _in_one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"modularity: warning: {_first_line(message)}", err=True)


def _first_line(said: object) -> str:
    lines: Iterable[str] = str(said).strip().splitlines()
    first = next(iter(lines), type(said).__name__)
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]} …"
