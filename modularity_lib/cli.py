"""The command `modularity`: run studies, look how far they are, check them, take them away."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modularity_lib.analysis.command import analyze
from modularity_lib.paths import checkout, need_checkout
from modularity_lib.vocabulary import DATASET_NAMES

if TYPE_CHECKING:
    # The rest of the library is imported inside the commands that use it, so that `modularity --help` is there at once.
    from modularity_lib.studies.catalogue import Study


class _StudyName(click.ParamType):
    name = "study"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> "Study":
        from modularity_lib.studies.catalogue import study_named

        try:
            return study_named(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


class _Shard(click.ParamType):
    name = "i/n"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[int, int]:
        try:
            index, count = (int(part) for part in value.split("/"))
        except ValueError:
            index, count = 0, 0
        if not 1 <= index <= count:
            self.fail(f"must be i/n with 1 <= i <= n, such as 2/8, got {value!r}.", parameter, context)
        return index, count


class _Device(click.ParamType):
    name = "device"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        if value == "cpu":
            return str(value)  # to look for a GPU takes PyTorch
        from modularity_lib.training.gpu import device_named

        try:
            device_named(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)
        return str(value)


class _FindingName(click.ParamType):
    name = "finding"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> str:
        from modularity_lib.findings.catalogue import FINDINGS

        if value not in FINDINGS:
            self.fail(f"no finding is called {value!r}: choose from {', '.join(FINDINGS)}.", parameter, context)
        return str(value)


_study = click.argument("study", type=_StudyName(), metavar="STUDY")
_store = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results. Default: $MODULARITY_STORE, else .modularity in the checkout.",
)


def _stops_at_once(command: Callable[..., None]) -> Callable[..., None]:
    """Turn Ctrl-C into a word on how to go on."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        before = signal.signal(signal.SIGINT, _stop)
        try:
            command(*args, **kwargs)
        finally:
            signal.signal(signal.SIGINT, before)

    return run


def _stop(*_: object) -> None:
    """Exit immediately: to wait for the workers could take minutes. Nothing finished is lost when they are killed."""
    click.echo("\nmodularity: stopped. Nothing finished is lost: the same command goes on from here.", err=True)
    sys.stderr.flush()
    _kill_workers()
    os._exit(130)


def _kill_workers() -> None:
    """Kill the processes that work for this one. One that is just starting would end in a traceback without it."""
    psutil = sys.modules.get("psutil")  # Dask has loaded it where there are workers
    if psutil is None:
        return
    with suppress(psutil.Error):
        for child in psutil.Process().children():
            with suppress(psutil.Error):  # it has just ended
                if any("spawn_main" in part for part in child.cmdline()):  # not the keeper of semaphores, who cleans up
                    child.kill()


class _Commands(click.Group):
    """The commands; what a user typed wrong is answered in one line with status 2, and what he can mend with 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            status = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.stdout.flush()  # now: what cannot be written would else be told after all has ended
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "modularity"
            click.echo(f"{command}: {error.format_message()} See: {command} --help", err=True)
            status = 2
        except click.Abort:
            click.echo("modularity: stopped.", err=True)
            status = 130
        except BrokenPipeError:  # nobody reads on, as after `| head`
            status = _without_output()
        except Exception as error:
            said = _can_be_mended(error)
            if said is None:
                raise
            click.echo(f"modularity: {said}", err=True)
            status = _without_output()
        sys.exit(status if isinstance(status, int) else 0)


def _can_be_mended(error: Exception) -> str | None:
    """What to say of an error of which this library knows the cause, or which the system gave; None of any other."""
    if type(error).__module__.partition(".")[0] == "modularity_lib":
        return getattr(error, "strerror", None) or str(error)
    if not isinstance(error, OSError):
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    why = error.strerror or str(error)
    return f"{where}{why}.{_WAYS_OUT.get(error.errno or 0, '')}"


_WAYS_OUT = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), " Make it readable, or writable, for this user."),
    errno.EROFS: " Work in a copy that can be written.",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), " Free some space."),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), " Raise the limit on open files: `ulimit -n`."),
    **dict.fromkeys((errno.EAGAIN, errno.ENOMEM), " Raise the limit on processes, `ulimit -u`, or free some memory."),
}


def _without_output() -> int:
    """Status of a command that ends early; what it has left to write is dropped, for it may be that which fails."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return 1
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="modularity-lib")
def main() -> None:
    """Modules of hidden units in neural networks: a reproduction of Lange, Rolnick & Kording (2022).

    \b
    Example:
      modularity run quick
      modularity status quick
    """


main.add_command(analyze)


@main.command()
@_study
@_store
@click.option("--workers", type=click.IntRange(min=1), help="Processes on this machine. Default: one per core.")
@click.option("--scheduler", metavar="ADDRESS", help="Use a running Dask scheduler, such as tcp://10.0.0.1:8786.")
@click.option("--shard", type=_Shard(), help="Compute share i of n in this process alone, for job arrays.")
@click.option(
    "--device", type=_Device(), default="cpu", help="Train on a GPU, cuda or cuda:1, all networks side by side."
)
@click.option(
    "--weights", is_flag=True, help="Also networks that come with the project, but without their full weights."
)
@click.option("--dry-run", is_flag=True, help="Say what would be computed, and about how long it takes.")
@click.option("--quiet", is_flag=True, help="No progress.")
@_stops_at_once
def run(
    study: "Study",
    store: Path | None,
    workers: int | None,
    scheduler: str | None,
    shard: tuple[int, int] | None,
    device: str,
    weights: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Compute what is missing of a study; a run that was stopped goes on where it was.

    \b
    Example:
      modularity run v1 --workers 8
      modularity run v1 --shard 3/9
      modularity run v1 --scheduler tcp://10.0.0.1:8786
      modularity run v1 --device cuda
      modularity run final-base --weights --store results
    """
    from modularity_lib.studies import status
    from modularity_lib.studies.archive import Archive
    from modularity_lib.studies.engine import SchedulerUnavailable, open_tasks
    from modularity_lib.studies.provenance import cores
    from modularity_lib.studies.run import run_shard, run_study
    from modularity_lib.studies.store import Store

    if device != "cpu" and (scheduler or shard):
        raise click.UsageError(
            f"--device {device} trains all networks in this process: leave out {'--shard' if shard else '--scheduler'}."
        )
    if (scheduler and (shard or workers)) or (shard and workers):
        raise click.UsageError("--workers, --scheduler and --shard exclude each other.")
    opened = Store(store)
    if dry_run:
        archive = Archive(study, opened)
        tasks = open_tasks(archive, shard=shard or (1, 1), weights=weights)
        click.echo(status.plan(archive, tasks, workers=1 if shard else workers or cores(), device=device))
        return
    if shard:
        run_shard(study, store=opened, shard=shard, weights=weights, progress=not quiet)
        if not quiet:
            click.echo(f"shard {shard[0]}/{shard[1]} of {study.name}: complete in {opened.root}", err=True)
        return
    try:
        results = run_study(
            study,
            store=opened,
            workers=workers,
            scheduler=scheduler,
            device=device,
            weights=weights,
            progress=not quiet,
        )
    except SchedulerUnavailable as error:
        raise click.BadParameter(f"{error}.", param_hint="--scheduler") from error
    if not quiet:
        click.echo(f"{study.name}: all {len(results.networks)} networks are in {opened.root} or shipped", err=True)


@main.command()
@_study
@_store
@_stops_at_once
def status(study: "Study", store: Path | None) -> None:
    """Show how far a study is: networks done, under way, failed (with the reason), and the time left.

    \b
    Example:
      modularity status v1
    """
    from modularity_lib.studies import status as study_status
    from modularity_lib.studies.archive import Archive
    from modularity_lib.studies.store import Store

    progress = study_status.status(Archive(study, Store(store)))
    click.echo(progress.text())
    for failure in progress.failures:
        click.echo(f"\nfailed three times: {failure['config']}\n{failure['traceback']}")
    sys.exit(1 if progress.failures else 0)


@main.command()
@_study
@_store
@click.option("--run", "run_number", type=click.IntRange(min=0), help="Only networks of this run.")
@click.option("--l2", type=float, help="Only networks with this L2 strength.")
@click.option("--l1", type=float, help="Only networks with this L1 strength.")
@click.option("--dropout", type=float, help="Only networks with this dropout.")
@_stops_at_once
def why(
    study: "Study",
    store: Path | None,
    run_number: int | None,
    l2: float | None,
    l1: float | None,
    dropout: float | None,
) -> None:
    """Say why entries of a study count as missing or stale.

    \b
    Example:
      modularity why quick --run 0 --dropout 0.3
    """
    from dataclasses import asdict

    from modularity_lib.studies.archive import Archive
    from modularity_lib.studies.status import reasons
    from modularity_lib.studies.store import Store

    chosen = {"run": run_number, "l2": l2, "l1": l1, "dropout": dropout}
    wanted = {name: value for name, value in chosen.items() if value is not None}
    archive = Archive(study, Store(store))
    configs = [config for config in archive.configs if wanted.items() <= asdict(config).items()]
    if not configs:
        raise click.UsageError(f"the study {study.name!r} has no network with {wanted}.")
    for line in reasons(configs, archive):
        click.echo(line)


@main.command()
@_study
@_store
@click.option(
    "--sample", default=1, show_default=True, type=click.IntRange(min=1), help="How many networks to recompute."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Which ones: seed of the draw.")
@_stops_at_once
def verify(study: "Study", store: Path | None, sample: int, seed: int) -> None:
    """Recompute some networks from scratch and compare them with the stored rows.

    \b
    Example:
      modularity verify quick --sample 3
    """
    import numpy as np

    from modularity_lib.studies import verify as verification
    from modularity_lib.studies.archive import Archive, identity_of
    from modularity_lib.studies.results import IDENTIFYING, StudyIncomplete
    from modularity_lib.studies.store import Store

    stored = Archive(study, Store(store)).tables_at_hand()
    present = set(stored.networks.loc[stored.networks["trained"], IDENTIFYING].itertuples(index=False, name=None))
    configs = [config for config in study.trained_configs() if identity_of(config, study) in present]
    if not configs:
        raise StudyIncomplete(f"no trained network of the study {study.name!r} is there to be verified.")
    drawn = np.random.default_rng(seed).permutation(len(configs))[:sample]
    report = verification.verify([configs[index] for index in drawn], stored)
    click.echo(report.text())
    sys.exit(0 if report.agrees else 1)


@main.command()
@click.option(
    "--sample", default=0, show_default=True, type=click.IntRange(min=0), help="Train so many more networks of v1."
)
@_stops_at_once
def reaffirm(sample: int) -> None:
    """Prove that changed code gives the shipped results, to the last bit, so that they stay current.

    Recomputes a sample of what is in data/results. If all of it is the same, the code is added to
    data/results/lineage.json, which belongs into the same commit as the change; else nothing is.

    \b
    Example:
      modularity reaffirm
    """
    need_checkout("modularity reaffirm")
    from modularity_lib.findings.reaffirm import reaffirm as prove

    added = prove(sample=sample, say=click.echo)
    click.echo(f"added to the lineage: {', '.join(added)}" if added else "the code of every stage is proven already.")


@main.command()
@_study
@_store
@click.option(
    "--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the tables."
)
@click.option("--parquet", is_flag=True, help="Parquet with checksums, the form of data/results, instead of CSV.")
@click.option(
    "--weights",
    type=click.IntRange(min=0),
    default=0,
    help="With --parquet: weights of the first N runs, matrices of run 0.",
)
@click.option(
    "--dropout-weights",
    type=click.IntRange(min=0),
    default=0,
    help="With --parquet: weights of the sweep of dropout in the first N runs.",
)
@click.option("--incomplete", is_flag=True, help="Write what there is, though networks are missing.")
@_stops_at_once
def export(
    study: "Study",
    store: Path | None,
    folder: Path,
    parquet: bool,
    weights: int,
    dropout_weights: int,
    incomplete: bool,
) -> None:
    """Write the tables of a study as CSV files, or as Parquet.

    \b
    Example:
      modularity export quick --to tables
    """
    from modularity_lib.studies.archive import Archive
    from modularity_lib.studies.results import TABLES
    from modularity_lib.studies.store import Store, StoreUnusable

    if (weights or dropout_weights) and not parquet:
        raise click.UsageError(f"--{'weights' if weights else 'dropout-weights'} goes with --parquet.")
    archive = Archive(study, Store(store))
    results = archive.tables(incomplete=incomplete)
    try:
        if parquet:
            from modularity_lib.studies import shipping
            from modularity_lib.studies.entries import check_replaceable

            check_replaceable(folder)
            arrays = shipping.weights_to_ship(archive, runs=weights, dropout_runs=dropout_weights)
            if weights:
                arrays |= shipping.matrices_to_ship(archive)
            shipping.export(results, folder, arrays=arrays)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            for name in TABLES:
                getattr(results, name).to_csv(folder / f"{name}.csv", index=False)
    except StoreUnusable:
        raise
    except OSError as error:
        raise click.BadParameter(f"{folder} cannot be written: {error}", param_hint="--to") from error
    for name in TABLES:
        click.echo(f"{folder / name}.{'parquet' if parquet else 'csv'}: {len(getattr(results, name))} rows")


@main.command()
@click.argument("name", metavar="NAME")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="KEY VALUE", help="Another value for a parameter.")
@click.option("--parameters", "several", default="", metavar="TEXT", help='Several: "dropouts=[0.1, 0.3] layer=2".')
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the notebook and the page. Default: _build in the checkout.",
)
@_stops_at_once
def chapter(name: str, parameters: tuple[tuple[str, str], ...], several: str, folder: Path | None) -> None:
    """Run one chapter of the book again with other parameters: a notebook and a page.

    Values are JSON or Python literals, or bare names; the chapter says which it takes.

    \b
    Example:
      modularity chapter measures -p dropout 0.7 -p layer 2
      modularity chapter modularity --parameters "study=final-base measures=['input_gradient']"
    """
    need_checkout("modularity chapter")
    _need_jupyter_book()
    from modularity_lib.book.execution import ChapterFailed, reason_of
    from modularity_lib.book.parameters import typed_parameters
    from modularity_lib.book.rerun import OutputUnwritable, rerun

    try:
        given = [*parameters, *typed_parameters(several)]
        if repeated := [key for number, (key, _) in enumerate(given) if key in dict(given[:number])]:
            raise ValueError(f"the parameter {repeated[0]!r} is given twice.")
        notebook, page = rerun(name, dict(given), output=folder)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        click.echo(f"modularity: {error if isinstance(error, OutputUnwritable) else reason_of(error)}", err=True)
        sys.exit(1)
    except ChapterFailed as failure:
        click.echo(f"modularity: chapters/{name}.md:{failure.line}: {failure}", err=True)
        click.echo(f"The notebook as far as it got: {failure.notebook}", err=True)
        sys.exit(1)
    click.echo(f"notebook: {notebook}\npage: {page}")


def _need_jupyter_book() -> None:
    """Exit unless Jupyter Book 1 is installed: version 2 is another program, which runs no Sphinx extension."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("jupyter-book")
    except PackageNotFoundError:
        installed = "none"
    if installed.split(".")[0] != "1":
        click.echo(
            f"modularity: the book is made by Jupyter Book 1, and installed is {installed}. Install it with: "
            'pip install "jupyter-book>=1.0.4,<2"; `make install` has all that belongs to it.',
            err=True,
        )
        sys.exit(1)


@main.command()
def pdf() -> None:
    """Build the book as a single page and print it with Chromium.

    \b
    Example:
      modularity pdf
    """
    need_checkout("modularity pdf")
    _need_jupyter_book()
    from modularity_lib.book.pdf import PDF, build_single_page, print_book

    root = checkout()
    build_single_page(root)
    n_chapters = print_book(root, root / PDF)
    click.echo(f"{PDF}: {n_chapters} chapters, {(root / PDF).stat().st_size / 1e6:.1f} MB")


@main.command()
def readme() -> None:
    """Write the README's table of verdicts and the book's cover from the shipped results.

    \b
    Example:
      modularity readme
    """
    need_checkout("modularity readme")
    from modularity_lib.book.cover import COVER, draw_cover
    from modularity_lib.book.readme import README, shipped_results, with_table
    from modularity_lib.findings.live_units import on_live_units

    studies = shipped_results()
    text = with_table(README.read_text(encoding="utf-8"), studies, live=[on_live_units(one) for one in studies])
    README.write_text(text, encoding="utf-8")
    draw_cover(studies[0], COVER)


@main.command()
@click.option(
    "--pages",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the built book. Default: _build/html in the checkout.",
)
@click.option("--part", metavar="CAPTION", help='The part that with the front page is the main path: "What we found".')
@click.option("--limit-words", type=click.IntRange(min=1), help="End with status 1 if the main path has more words.")
@click.option("--limit-figures", type=click.IntRange(min=1), help="The same for figures.")
def reading(pages: Path | None, part: str | None, limit_words: int | None, limit_figures: int | None) -> None:
    """Count what there is to read in the built book: words, numbers, figures, tables and minutes of every page.

    What is folded does not count, nor do code, tables and equations.

    \b
    Example:
      modularity reading --limit-words 4500 --limit-figures 12
    """
    need_checkout("modularity reading")
    from modularity_lib.book import reading as counting

    contents = checkout() / "_toc.yml"
    try:
        on_path = counting.main_path(contents, part or counting.MAIN_PART)
        readings = counting.readings_of_book(pages or checkout() / "_build" / "html", contents)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    main = counting.summed("main path", (one for one in readings if one.page in on_path))
    click.echo(counting.reading_text([*readings, main, counting.summed("all", readings)]))
    for found, limit, what in ((main.words, limit_words, "words"), (main.figures, limit_figures, "figures")):
        if limit is not None and found > limit:
            click.echo(f"modularity: the main path has {found:,} {what}, and the limit is {limit:,}.", err=True)
            click.get_current_context().exit(1)


@main.command("common-mode")
@_store
@_stops_at_once
def common_mode(store: Path | None) -> None:
    """Measure what the units of v1 have in common, in all runs in the store, and ship it in data/common_mode.

    \b
    Example:
      modularity common-mode
    """
    need_checkout("modularity common-mode")
    from threadpoolctl import threadpool_limits

    from modularity_lib.findings.common_mode import ship
    from modularity_lib.studies.archive import Archive
    from modularity_lib.studies.store import Store

    opened = Store(store)
    with threadpool_limits(1, user_api="blas"):  # as when the networks were measured
        ship(Archive("v1", opened).tables_at_hand(), opened)


@main.command()
@click.argument("name", type=_FindingName(), metavar="NAME")
@click.option("--study", type=_StudyName(), default="v1", help="Whose networks. Default: v1.")
@_store
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Processes on this machine.")
@_stops_at_once
def finding(name: str, study: "Study", store: Path | None, workers: int) -> None:
    """Measure a finding on all networks of a study, and ship its table in data/findings.

    What a stopped one has measured is kept in the store.

    \b
    Example:
      modularity finding lesions --workers 2
    """
    need_checkout("modularity finding")
    from modularity_lib.findings.catalogue import FINDINGS
    from modularity_lib.findings.tables import ship
    from modularity_lib.studies.archive import Archive
    from modularity_lib.studies.store import Store

    archive = Archive(study, Store(store))
    ship(FINDINGS[name], archive.tables_at_hand(), archive, workers=workers)


@main.command()
@_stops_at_once
def bounds() -> None:
    """Bound the modularity of all partitions, for matrices of v1, and ship the table in data/bounds.

    Takes some minutes of one core.

    \b
    Example:
      modularity bounds
    """
    from threadpoolctl import threadpool_limits

    from modularity_lib.findings.bounds import ship
    from modularity_lib.studies.archive import Archive

    with threadpool_limits(1, user_api="blas"):  # as one core of any machine would
        ship(Archive("v1").tables_at_hand())


@main.command("live-units")
@click.argument("study", type=_StudyName(), default="v1")
@_stops_at_once
def live_units(study: "Study") -> None:
    """Test the agreement of all pairs of clusterings over live units, and ship the p-values in data/live_units.

    Takes some minutes of one core.

    \b
    Example:
      modularity live-units final-base
    """
    need_checkout("modularity live-units")
    from modularity_lib.findings.live_units import ship
    from modularity_lib.studies.archive import Archive

    ship(Archive(study).tables_at_hand())


@main.command("false-positives")
@_stops_at_once
def false_positives() -> None:
    """Measure how often each null of test_modules errs, in 20 minutes, and ship it in data/false_positives.

    \b
    Example:
      modularity false-positives
    """
    from threadpoolctl import threadpool_limits

    from modularity_lib.findings.false_positives import ship

    with threadpool_limits(1, user_api="blas"):
        ship()


@main.command("made-up-rises")
@_stops_at_once
def made_up_rises() -> None:
    """Try the rule of what a rise of Q is on made-up layers, in 20 minutes, and ship it in data/made_up_rises.

    \b
    Example:
      modularity made-up-rises
    """
    need_checkout("modularity made-up-rises")
    from threadpoolctl import threadpool_limits

    from modularity_lib.findings.made_up_rises import ship

    with threadpool_limits(1, user_api="blas"):
        ship()


@main.group()
def data() -> None:
    """Get the images that studies are made of."""


@data.command()
@click.argument("dataset", type=click.Choice(DATASET_NAMES))
@_stops_at_once
def fetch(dataset: str) -> None:
    """Make sure that a dataset is at hand and unaltered; download it if it is not.

    \b
    Example:
      modularity data fetch mnist
    """
    from modularity_lib.images.dataset import load_dataset

    loaded = load_dataset(dataset)
    click.echo(
        f"{dataset}: {len(loaded.train_labels):,} training and {len(loaded.test_labels):,} test images, "
        f"SHA-256 {loaded.sha256}"
    )


if __name__ == "__main__":
    main()
