"""Training on a device gives what training on the processor gives, for any mix of networks and runs."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import oracles_training as oracles
import tiny
from modularity_lib import cli
from modularity_lib.images.dataset import Dataset
from modularity_lib.studies import archive, checkpoints, worker
from modularity_lib.studies import run as study_run
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.checkpoints import begin, save, train_with_checkpoints
from modularity_lib.studies.engine import tasks_of
from modularity_lib.studies.estimate import cost_seen, expected_cost
from modularity_lib.studies.run import run_study
from modularity_lib.studies.store import Store
from modularity_lib.training import gpu
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.gpu import device_named, masks_on_device, step_keys_of, train_on_device
from modularity_lib.training.layout import drop_arguments, dropout_mask, mask_key, pack, unpack
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.training import TrainedNetwork, TrainingState, advance, finish, images_of_run, start, train

# 450 images to train on: an epoch has two batches of 200 and one of 50.
BASE = TrainingConfig(hidden=(16, 12), l2=0.0, epochs=4, batch_size=200, learning_rate=3e-3)
REGULARISED = {
    "none": BASE,
    "l1": replace(BASE, l1=1e-3),
    "l2": replace(BASE, l2=1e-2),
    "dropout": replace(BASE, dropout=0.4),
    "all": replace(BASE, l1=3e-4, l2=3e-3, dropout=0.2),
}
ALL = list(REGULARISED.values())
FINAL = {"protocol": "final", "epochs": 60, "learning_rate": 0.01, "batch_size": 150}

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=needs_cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return device_named(request.param)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return oracles.made_up_dataset()


def trained_on(
    device: torch.device, runs: Sequence[Sequence[TrainingConfig]], dataset: Dataset, **kwargs: object
) -> list[list[TrainedNetwork]]:
    """Networks of several runs, trained as one batch."""
    states = [start(configs, dataset) for configs in runs]
    train_on_device(states, dataset, device, **kwargs)  # type: ignore[arg-type]
    return finished(states, dataset)


def finished(states: Sequence[TrainingState], dataset: Dataset) -> list[list[TrainedNetwork]]:
    return [finish(state, images_of_run(dataset, run=state.configs[0].run)) for state in states]


def flat(parameters: Parameters) -> np.ndarray:
    return np.concatenate([array.ravel() for array in (*parameters.weights, *parameters.biases)])


def assert_alike(ours: Sequence[TrainedNetwork], theirs: Sequence[TrainedNetwork]) -> None:
    """Equal to float tolerance; the bounds, and why they are not narrower, are those of test_training.py."""
    assert len(ours) == len(theirs)
    for network, expected in zip(ours, theirs, strict=True):
        assert network.config == expected.config
        assert (network.epochs, network.status, network.reason) == (expected.epochs, expected.status, expected.reason)
        difference = np.abs(flat(network.parameters) - flat(expected.parameters))
        assert np.median(difference) < 1e-5
        assert np.max(difference) < 2 * network.config.learning_rate
        assert network.validation_loss == pytest.approx(expected.validation_loss, rel=1e-2)


def test_masks_are_those_of_the_processor_bit_for_bit(device: torch.device) -> None:
    dropouts, widths, steps = (0.05, 0.4, 0.7, 0.9999999), (16, 48), np.array([1, 7, 135_000, 2**33])
    keys = np.array([mask_key(number) for number in range(4)])
    levels, factors = zip(*map(drop_arguments, dropouts), strict=True)
    masks = masks_on_device(
        step_keys_of(keys, steps, device),
        torch.tensor(np.array(levels, dtype=np.int32), device=device)[:, None, None],
        torch.tensor(np.array(factors), device=device)[:, None, None],
        n_images=37,
        widths=widths,
    )
    for network, (key, step, dropout) in enumerate(zip(keys, steps, dropouts, strict=True)):
        for layer, units in enumerate((slice(0, 16), slice(16, 64))):
            expected = dropout_mask(
                key, step=int(step), layer=layer, n_images=37, n_units=widths[layer], dropout=dropout
            )
            np.testing.assert_array_equal(masks[network, :, units].cpu().numpy(), expected)


def test_one_epoch_leaves_the_state_that_the_processor_leaves(dataset: Dataset, device: torch.device) -> None:
    configs = [replace(config, epochs=1) for config in ALL]
    ours, theirs = start(configs, dataset), start(configs, dataset)
    train_on_device([ours], dataset, device)
    advance(theirs, images_of_run(dataset, run=0))
    assert ours.epoch == theirs.epoch == 1
    for name in ("parameters", "first_moments", "second_moments"):
        expected = getattr(theirs.networks, name)
        size = np.abs(expected).max(axis=1, keepdims=True)
        np.testing.assert_allclose(getattr(ours.networks, name) / size, expected / size, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(ours.kept, ours.networks.parameters)


def test_networks_of_several_runs_in_one_batch_train_as_on_the_processor(
    dataset: Dataset, device: torch.device
) -> None:
    runs = [ALL, [replace(config, run=1) for config in ALL[::-1]], [replace(BASE, run=2)]]
    for ours, configs in zip(trained_on(device, runs, dataset), runs, strict=True):
        assert_alike(ours, train(configs, dataset))
        initial = flat(initial_parameters((40, 16, 12, 4), seed=configs[0].run))
        assert np.median(np.abs(flat(ours[0].parameters) - initial)) > 0.01


@pytest.mark.parametrize("hidden", [(5,), (20, 7, 33)])
def test_layers_of_any_width_and_number_train_as_on_the_processor(
    dataset: Dataset, device: torch.device, hidden: tuple[int, ...]
) -> None:
    configs = [replace(config, hidden=hidden, epochs=2, run=3) for config in ALL]
    [ours] = trained_on(device, [configs], dataset)
    assert_alike(ours, train(configs, dataset))


def test_the_final_protocol_ends_and_keeps_as_on_the_processor(
    dataset: Dataset, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    batch = gpu._Batch

    class Seen(batch):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            sizes.append(self.n_networks)

    monkeypatch.setattr(gpu, "_Batch", Seen)
    runs = [[replace(REGULARISED[name], **FINAL, run=run) for name in ("none", "dropout", "all")] for run in (0, 1)]
    states = [start(configs, dataset) for configs in runs]
    progress: list[int] = []
    train_on_device(states, dataset, device, progress=progress.append)
    for state, ours, configs in zip(states, finished(states, dataset), runs, strict=True):
        assert_alike(ours, train(configs, dataset))
        assert all(network.epochs < 60 for network in ours)
        expected = start(configs, dataset)
        while expected.training.any():
            advance(expected, images_of_run(dataset, run=configs[0].run))
        np.testing.assert_array_equal(state.networks.learning_rates, expected.networks.learning_rates)
        assert [plateau.bad_epochs for plateau in state.plateaus] == [p.bad_epochs for p in expected.plateaus]
        assert (state.networks.learning_rates < 0.01).all()
        # Networks that ended stay as they were, while others of their batch go on.
        difference = np.abs(state.networks.parameters - expected.networks.parameters)
        assert np.median(difference) < 1e-5
        assert difference.max() < 0.02
    assert sum(progress) == sum(int(state.epochs.sum()) for state in states)
    assert sizes[0] == 6
    assert all(0 < later <= 0.75 * earlier for earlier, later in pairwise(sizes))
    assert len(sizes) > 2  # those that ended left the batch


@pytest.mark.parametrize("protocol", ["v1", "final"])
def test_a_diverging_network_is_reported_and_leaves_the_others_alone(
    dataset: Dataset, device: torch.device, protocol: str
) -> None:
    healthy = [replace(REGULARISED[name], protocol=protocol) for name in ("none", "l2", "dropout", "all")]
    diverging = replace(healthy[0], l1=1e30)  # its square, in Adam's second moment, is beyond float32
    configs = [healthy[0], diverging, *healthy[1:]]
    [ours] = trained_on(device, [configs], dataset)
    assert (ours[1].status, ours[1].epochs) == ("diverged", 1)
    assert np.array_equal(flat(ours[1].parameters), flat(initial_parameters((40, 16, 12, 4), seed=0)))
    assert_alike(ours, train(configs, dataset))


def test_a_learning_rate_that_makes_weights_infinite_is_divergence(dataset: Dataset, device: torch.device) -> None:
    [[network]] = trained_on(device, [[replace(BASE, learning_rate=1e39, batch_size=450, epochs=1)]], dataset)
    assert network.status == "diverged"


def test_untrained_networks_and_different_lengths_go_together(dataset: Dataset, device: torch.device) -> None:
    configs = [replace(BASE, epochs=0), BASE, replace(BASE, epochs=2)]
    progress: list[int] = []
    ours, untrained = trained_on(device, [configs, [replace(BASE, epochs=0, run=7)]], dataset, progress=progress.append)
    assert_alike(ours, train(configs, dataset))
    assert_alike(untrained, train([replace(BASE, epochs=0, run=7)], dataset))
    assert progress == [2, 2, 1, 1]


def test_a_network_does_not_depend_on_those_beside_it_but_for_rounding(dataset: Dataset, device: torch.device) -> None:
    [together] = trained_on(device, [ALL], dataset)
    for config, network in zip(ALL, together, strict=True):
        assert_alike([network], trained_on(device, [[config]], dataset)[0])


def test_padding_stays_zero(dataset: Dataset, device: torch.device) -> None:
    state = start([REGULARISED["all"]], dataset)
    train_on_device([state], dataset, device)
    for array in (state.networks.parameters[0], state.networks.first_moments[0], state.networks.second_moments[0]):
        assert np.array_equal(array, pack(unpack(array, state.layout), state.layout))


def test_networks_that_do_not_fit_train_one_batch_after_the_other(
    dataset: Dataset, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [[replace(config, run=run) for config in ALL[3:]] for run in range(3)]
    layout = start(runs[0], dataset).layout
    room = 4.5 * gpu.bytes_per_network(layout, BASE.batch_size)
    monkeypatch.setattr(gpu, "_usable_bytes", lambda _: room)
    progress: list[int] = []
    for ours, configs in zip(trained_on(device, runs, dataset, progress=progress.append), runs, strict=True):
        assert_alike(ours, train(configs, dataset))
    assert progress == [4, 4, 4, 4, 2, 2, 2, 2]


def test_a_training_step_only_touches_tensors_that_stay_where_they_are(dataset: Dataset, device: torch.device) -> None:
    # A recorded step would go on to read and write the old places.
    states = [start(ALL, dataset)]
    images = gpu._images_on(device, dataset, width=16)
    batch = gpu._Batch(states, dataset, images)

    def places() -> dict[str, int]:
        return {name: tensor.data_ptr() for name, tensor in vars(batch).items() if isinstance(tensor, torch.Tensor)}

    before = places()
    batch.advance()
    batch.advance()
    assert places() == before
    assert len(before) > 10


def test_a_step_is_recorded_after_a_few_calls_and_then_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Graph:
        def replay(self) -> None:
            seen.append("replayed")

        def __enter__(self) -> None:
            seen.append("recorded:")

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: graph)
    step = gpu._Recorded(lambda: seen.append("called"), torch.device("cuda"))
    for _ in range(5):
        step()
    assert seen == ["called"] * 3 + ["recorded:", "called", "replayed", "replayed"]


def test_states_that_differ_in_shape_are_refused(dataset: Dataset, device: torch.device) -> None:
    states = [start([BASE], dataset), start([replace(BASE, hidden=(8,))], dataset)]
    with pytest.raises(ValueError, match=r"states must share one hidden, got \(8,\), \(16, 12\)"):
        train_on_device(states, dataset, device)


class Stopped(Exception):
    """Stands for a kill."""


def stop_after(epochs: int):
    seen: list[int] = []

    def progress(_: int) -> None:
        seen.append(0)
        if len(seen) > epochs:
            raise Stopped

    return progress


@pytest.mark.parametrize("protocol", ["v1", "final"])
def test_what_the_device_began_the_processor_finishes(
    dataset: Dataset, device: torch.device, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [replace(config, **FINAL) for config in ALL] if protocol == "final" else ALL
    store, state = Store(tmp_path), start(configs, dataset)

    def save_state(states: Sequence[TrainingState]) -> None:
        save(states[0], store, name="five", device={"name": "a GPU", "seconds": 1.5})

    with pytest.raises(Stopped):
        train_on_device([state], dataset, device, progress=stop_after(2), save=save_state, interval=0.0)
    with pytest.raises(Stopped):
        train_with_checkpoints(configs, dataset, store, name="five", progress=stop_after(2), interval=0.0)
    assert checkpoints.device_of(store, "five") == {"name": "a GPU", "seconds": 1.5}
    monkeypatch.setattr(checkpoints, "SHORT_TRAINING_SECONDS", -1.0)  # so that the end is saved
    seen: list[int] = []
    ours = train_with_checkpoints(configs, dataset, store, name="five", progress=seen.append)
    assert seen[:2] == [3 * 5, 5]
    assert_alike(ours, train(configs, dataset))
    assert checkpoints.device_of(store, "five") == {"name": "a GPU", "seconds": 1.5}


@pytest.mark.parametrize("protocol", ["v1", "final"])
def test_what_the_processor_began_the_device_finishes(
    dataset: Dataset, device: torch.device, protocol: str, tmp_path: Path
) -> None:
    configs = [replace(config, **FINAL) for config in ALL] if protocol == "final" else ALL
    store = Store(tmp_path)
    with pytest.raises(Stopped):  # the first call says how much a checkpoint saved
        train_with_checkpoints(configs, dataset, store, name="five", progress=stop_after(3), interval=0.0)
    state, trained_by = begin(configs, dataset, store, name="five")
    assert (state.epoch, trained_by) == (2, None)
    other = start([replace(config, run=1) for config in configs], dataset)  # at another epoch in the same batch
    train_on_device([state, other], dataset, device)
    for ours in finished([state, other], dataset):
        assert_alike(ours, train([network.config for network in ours], dataset))


def test_states_are_up_to_date_when_they_are_to_be_saved(dataset: Dataset, device: torch.device) -> None:
    state = start(ALL, dataset)
    saved: list[tuple[int, np.ndarray]] = []
    train_on_device(
        [state],
        dataset,
        device,
        save=lambda states: saved.append((states[0].epoch, states[0].kept.copy())),
        interval=0.0,
    )
    assert [epoch for epoch, _ in saved] == [1, 2, 3, 4]
    [halfway] = trained_on(device, [[replace(config, epochs=2) for config in ALL]], dataset)
    for row, network in zip(saved[1][1], halfway, strict=True):
        np.testing.assert_allclose(flat(unpack(row, state.layout)), flat(network.parameters), rtol=0, atol=1e-5)


TINY = replace(tiny.TINY, runs=2, search_steps=10, permutations=10)


def configs_of_run(chosen: Study, run: int) -> list[TrainingConfig]:
    return [config for config in chosen.trained_configs() if config.run == run]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor stands for a GPU, and this process for those that measure the networks."""

    monkeypatch.setattr(gpu, "device_named", lambda _: torch.device("cpu"))
    monkeypatch.setattr(worker, "device_title", lambda _: "a GPU")
    monkeypatch.setattr(study_run, "run_on_dask", tiny.run_here)


def test_a_study_is_trained_on_the_device_and_measured_as_ever(
    here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("trained on the processor")

    monkeypatch.setattr(checkpoints, "advance", never)
    store = Store(tmp_path)
    results = run_study(TINY, store=store, device="cuda")
    assert set(results.networks["status"]) == {"ok"}
    assert len(results.networks) == 5
    digits = archive.dataset_of_study(TINY.dataset)
    expected = [network for run in (0, 1) for network in train(configs_of_run(TINY, run), digits)]
    losses = results.networks.query("trained").sort_values(["run", "dropout"])["validation_loss"]
    np.testing.assert_allclose(losses, [network.validation_loss for network in expected], rtol=1e-2)
    for key in store.keys("training"):
        made, epochs = store.read("training", key).provenance, store.read("training", key).facts["epochs"]
        assert made.get("device", {}).get("name") == ("a GPU" if epochs else None)
    assert not list(tmp_path.glob("checkpoints-*"))
    shown = capsys.readouterr().err
    assert "study tiny, training on cpu: 100%" in shown
    assert "\x1b" not in shown  # lines of a log, none of them written over
    assert (
        cost_seen(Archive(TINY, store)).epoch == expected_cost(TINY).epoch
    )  # the device says nothing about the processor
    run_study(TINY, store=store)  # nothing is left to compute for the processor


def test_a_kill_of_a_training_on_the_device_is_made_good_by_a_run_on_the_processor(
    here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long, store = replace(TINY, epochs=3), Store(tmp_path)
    train_missing = worker.train_on_device
    monkeypatch.setattr(
        worker,
        "train_on_device",
        lambda *args, progress, save: train_missing(*args, progress=stop_after(2), save=save, interval=0.0),
    )
    with pytest.raises(Stopped):
        run_study(long, store=store, device="cuda", progress=False)
    assert not store.keys("training")
    seen = []
    train_here = checkpoints.advance
    monkeypatch.setattr(checkpoints, "advance", lambda state, images: (seen.append(1), train_here(state, images)))
    results = run_study(long, store=store, progress=False)
    assert len(seen) == 2  # an epoch of each run, the two before came from the device
    assert set(results.networks.query("trained")["epochs"]) == {3}
    assert len({network.run for networks in tasks_of(long) for network in networks}) == 3


def test_a_kill_while_results_are_written_costs_no_training(
    here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store, write = Store(tmp_path), Archive.write

    def killed_at_the_second(*args: Any, **options: Any) -> None:
        if store.keys("training"):
            raise KeyboardInterrupt
        write(*args, **options)

    monkeypatch.setattr(Archive, "write", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_study(TINY, store=store, device="cuda", progress=False)
    monkeypatch.setattr(Archive, "write", write)
    monkeypatch.setattr(checkpoints, "advance", None)
    monkeypatch.setattr(gpu, "_Batch", None)
    assert len(run_study(TINY, store=store, device="cuda", progress=False).networks) == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "device must be 'cpu', 'cuda', or 'cuda:1' for the second GPU, got 'gpu'"),
        ("cuda:", "got 'cuda:'"),
        ("cuda:x", "got 'cuda:x'"),
        ("cuda:99", r"device 'cuda:99' is not there: PyTorch .* sees \d+ CUDA devices"),
    ],
)
def test_a_device_that_is_none_or_not_there_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        run_study(TINY, store=Store(tmp_path), device=name)


def test_a_device_and_a_scheduler_are_refused(here: None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give one of the two"):
        run_study(TINY, store=Store(tmp_path), device="cuda", scheduler="tcp://10.0.0.1:8786")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "gpu"], "got 'gpu'"),
        (["--device", "cuda:99"], "is not there"),
        (["--device", "cuda", "--shard", "1/2"], "leave out --shard"),
        (["--device", "cuda", "--scheduler", "tcp://10.0.0.1:8786"], "leave out --scheduler"),
    ],
)
def test_a_wrong_device_is_one_line_and_status_2(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = gpu.device_named
    monkeypatch.setattr(gpu, "device_named", lambda name: torch.device("cpu") if name == "cuda" else there(name))
    shown = CliRunner().invoke(cli.main, ["run", "smoke", "--store", str(tmp_path), *arguments])
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_a_dry_run_says_that_the_device_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "device_named", lambda _: torch.device("cpu"))
    arguments = ["run", "smoke", "--store", str(tmp_path), "--dry-run", "--device", "cuda", "--workers", "2"]
    shown = CliRunner().invoke(cli.main, arguments).output
    assert "8 networks to train" in shown
    assert "All are trained on cuda; to measure them then takes about" in shown
