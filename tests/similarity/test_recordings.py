"""Similarity of recorded activity and gradients: against float64 by other means, from whatever holds the numbers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import modularity_lib as ml
from modularity_lib.similarity import recordings
from on_disk import OnDisk

RANDOM = np.random.default_rng(0)
ACTIVITY = RANDOM.standard_normal((50, 7)) @ RANDOM.standard_normal((7, 7))
GRADIENTS = RANDOM.standard_normal((20, 5, 9))
NAMES = list("abcdefg")


def covariance_of(activity: np.ndarray) -> np.ndarray:
    """Pair by pair, with exact sums."""
    from math import fsum

    samples, units = activity.shape
    means = [fsum(activity[:, unit]) / samples for unit in range(units)]
    apart = [[value - mean for value in activity[:, unit]] for unit, mean in enumerate(means)]
    return np.array([[fsum(a * b for a, b in zip(one, two, strict=True)) / samples for two in apart] for one in apart])


def average_of(gradients: np.ndarray) -> np.ndarray:
    units = gradients.shape[1]
    total = np.zeros((units, units))
    for sample in gradients:
        for i in range(units):
            for j in range(units):
                total[i, j] += sum(sample[i, d] * sample[j, d] for d in range(gradients.shape[2]))
    return total / len(gradients)


def normalised(matrix: np.ndarray) -> np.ndarray:
    own = np.sqrt(np.diag(matrix))
    return matrix / own[:, None] / own


def close(found: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("signed", [False, True])
def test_covariances_are_those_taken_pair_by_pair(signed: bool) -> None:
    found = ml.similarity_of_activity(ACTIVITY, signed=signed)
    expected = covariance_of(ACTIVITY)
    assert (expected < -0.1).any()
    assert list(found) == ["input_covariance", "input_covariance_norm"]
    close(found["input_covariance"], expected if signed else np.abs(expected))
    close(found["input_covariance_norm"], normalised(expected) if signed else np.abs(normalised(expected)))
    for matrix in found.values():
        assert matrix.dtype == np.float64
        assert (matrix == matrix.T).all()


@pytest.mark.parametrize("signed", [False, True])
def test_averages_of_gradients_are_those_taken_sample_by_sample(signed: bool) -> None:
    found = ml.similarity_of_gradients(GRADIENTS, signed=signed)
    expected = average_of(GRADIENTS)
    assert (expected < -0.1).any()
    assert list(found) == ["gradient", "gradient_norm"]
    close(found["gradient"], expected if signed else np.abs(expected))
    close(found["gradient_norm"], normalised(expected) if signed else np.abs(normalised(expected)))


def test_they_are_the_measures_of_a_network_whose_activity_and_gradients_they_are() -> None:
    network = ml.MLP([4, 6, 3]).double()
    images = RANDOM.random((30, 4))
    measured = ml.similarity_matrices(network, images)["hidden1"]
    hidden = network.hidden1(torch.tensor(images)).detach()
    weights, out = network.hidden1.linear.weight.detach(), network.output.weight.detach()
    upstream = (hidden > 0)[:, :, None] * weights
    downstream = out.T.expand(30, 6, 3)
    for found, quantity in (
        (ml.similarity_of_activity(hidden), "input_covariance"),
        (ml.similarity_of_gradients(upstream), "input_gradient"),
        (ml.similarity_of_gradients(downstream), "output_gradient"),
    ):
        for matrix, name in zip(found.values(), (quantity, f"{quantity}_norm"), strict=True):
            np.testing.assert_allclose(matrix, measured[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("outlier", [False, True])
def test_a_baseline_a_million_times_the_deviation_is_exact(outlier: bool) -> None:
    apart = np.random.default_rng(1).integers(-1024, 1024, (400, 5)) / 1024  # which 1e6 + apart holds exactly
    apart[:, 1] = -apart[:, 0]
    shift = 1e6 if not outlier else np.where(np.arange(400) == 0, 0.0, 1e6)[:, None]
    close(ml.similarity_of_activity(apart + shift, signed=True)["input_covariance"], covariance_of(apart + shift))


@pytest.mark.parametrize("rows", [1, 3, 7, 49, 50, 1000])
@pytest.mark.parametrize("values", [ACTIVITY, ACTIVITY + 1e6, GRADIENTS], ids=["activity", "baseline", "gradients"])
def test_numbers_do_not_depend_on_the_size_of_blocks(
    values: np.ndarray, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = ml.similarity_of_activity if values.ndim == 2 else ml.similarity_of_gradients
    whole = measure(values, signed=True)
    for size in (rows * values[0].nbytes, rows * 8):  # of gradients, some directions of a sample
        monkeypatch.setattr(recordings, "_BLOCK_BYTES", size)
        parts = measure(values, signed=True)
        for name, matrix in whole.items():
            np.testing.assert_allclose(parts[name], matrix, rtol=0, atol=1e-12 * np.abs(matrix).max(), err_msg=name)


def test_the_sizes_of_blocks_are_those_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_BLOCK_BYTES", 800)
    activity, gradients = OnDisk(ACTIVITY), OnDisk(RANDOM.standard_normal((3, 5, 100)))
    close(ml.similarity_of_activity(activity, signed=True)["input_covariance"], covariance_of(ACTIVITY))
    assert 400 < activity.largest <= 800
    expected = average_of(gradients._values)
    close(ml.similarity_of_gradients(gradients, signed=True)["gradient"], expected)
    assert 400 < gradients.largest <= 800  # of one sample, 4,000 bytes, some directions


@pytest.mark.parametrize(("chunk", "multiple"), [(4, 4), (13, 13), (500, None)])
def test_what_a_file_keeps_in_one_piece_is_read_at_once(
    chunk: int, multiple: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "_BLOCK_BYTES", 10 * ACTIVITY[0].nbytes)
    values = OnDisk(np.concatenate([ACTIVITY, ACTIVITY]), chunks=(chunk, 7))
    ml.similarity_of_activity(values)
    rows = values.read[0][0].stop
    assert rows == 10 if multiple is None else rows % multiple == 0
    assert values.largest <= recordings._LARGEST_BLOCK * recordings._BLOCK_BYTES


def memory_mapped(values: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "values.npy", values)
    return np.load(folder / "values.npy", mmap_mode="r")


HOLDERS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "a list": lambda values, _: values.tolist(),
    "Fortran order": lambda values, _: np.asfortranarray(values),
    "other byte order": lambda values, _: values.astype(">f8"),
    "memory-mapped": memory_mapped,
    "on disk": lambda values, _: OnDisk(values),
    "a tensor": lambda values, _: torch.tensor(values, requires_grad=True),
    "a sparse tensor": lambda values, _: torch.tensor(values).to_sparse(),
    "no mask set": lambda values, _: np.ma.masked_array(values, mask=False),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_whatever_holds_the_numbers_is_read(holder: str, tmp_path: Path) -> None:
    for values, measure in ((ACTIVITY, ml.similarity_of_activity), (GRADIENTS, ml.similarity_of_gradients)):
        for name, matrix in measure(HOLDERS[holder](values, tmp_path)).items():
            np.testing.assert_array_equal(matrix, measure(values)[name])


@pytest.mark.parametrize("kind", ["csr_array", "csc_array", "coo_array", "lil_array", "dok_array", "coo_matrix"])
def test_sparse_matrices_are_read_in_blocks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spikes = np.random.default_rng(0).poisson(0.2, (300, 6)).astype(float)
    monkeypatch.setattr(recordings, "_BLOCK_BYTES", 1000)
    rows: list[int] = []
    read = recordings.numbers_of
    monkeypatch.setattr(recordings, "numbers_of", lambda *given: rows.append(given[1].shape[0]) or read(*given))
    held = getattr(scipy.sparse, kind)(spikes)
    close(ml.similarity_of_activity(held, signed=True)["input_covariance"], covariance_of(spikes))
    assert max(rows) == 1000 // (8 * 6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "int64", "uint8", "bool", "longdouble"])
def test_numbers_of_any_real_type_are_taken(dtype: str) -> None:
    values = (np.random.default_rng(0).random((40, 3)) * 5).astype(dtype)
    close(ml.similarity_of_activity(values, signed=True)["input_covariance"], covariance_of(values.astype(float)))


def test_half_precision_does_not_overflow() -> None:
    values = np.random.default_rng(0).choice([60_000.0, -60_000.0], (40, 3))
    for half in (values.astype(np.float16), torch.tensor(values).to(torch.bfloat16)):
        whole = np.asarray(torch.as_tensor(half).double())
        close(ml.similarity_of_activity(half, signed=True)["input_covariance"], covariance_of(whole))


def test_names_of_a_table_are_kept_to_the_modules() -> None:
    table = pd.DataFrame(ACTIVITY, columns=NAMES, index=np.arange(50) * 3)
    found = ml.similarity_of_activity(table)
    for name, matrix in ml.similarity_of_activity(ACTIVITY).items():
        assert found[name].index.tolist() == found[name].columns.tolist() == NAMES
        np.testing.assert_array_equal(found[name], matrix)
    assert ml.find_modules(found["input_covariance_norm"]).names == tuple(NAMES)
    whole = pd.DataFrame({"a": [0, 1, 0], "b": [True, False, False]})  # columns of several types
    with pytest.raises(ValueError, match=r"^activity must hold real numbers, got object\."):
        ml.similarity_of_activity(whole)
    close(ml.similarity_of_activity(whole.astype(float), signed=True)["input_covariance"], covariance_of(whole.values))


@pytest.mark.parametrize("door", [ml.similarity_of_activity, ml.test_modules, ml.analyze])
def test_columns_of_one_name_are_refused(door: Callable[[Any], Any]) -> None:
    table = pd.DataFrame(ACTIVITY[:, :3], columns=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"the columns of \w+ must name each unit once, got 'a' for units 0 and 2\."):
        door(table)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e5, 1e300])
def test_a_constant_unit_has_exact_zeros(value: float) -> None:
    values = np.random.default_rng(0).standard_normal((1000, 4))
    values[:, 2] = value
    for matrix in ml.similarity_of_activity(values).values():
        assert (matrix[2] == 0).all()
        assert (matrix[:, 2] == 0).all()
        assert (np.delete(matrix.diagonal(), 2) > 0).all()
    assert ml.find_modules(matrix).labels[2] == -1
    gradients = GRADIENTS.copy()
    gradients[:, 1] = 0.0
    for matrix in ml.similarity_of_gradients(gradients).values():
        assert (matrix[1] == 0).all()
        assert matrix[0, 0] > 0


def test_units_that_go_oppositely_are_parted_if_the_sign_is_kept() -> None:
    random, group = np.random.default_rng(0), np.repeat([0, 1, 2], 20)
    z = random.standard_normal((3000, 2))
    drive = np.stack([z[:, 0], -z[:, 0], z[:, 1]], axis=1)[:, group]
    spikes = random.poisson(np.exp(-1 + 0.6 * drive))
    similarity = ml.similarity_of_activity(spikes, signed=True)["input_covariance_norm"]
    assert (ml.find_modules(similarity, signed=True).labels == group).all()


ARRAY = np.ones((4, 3)) * np.arange(4)[:, None]


def with_one(value: float) -> np.ndarray:
    values = ARRAY.copy()
    values[2, 1] = value
    return values


@pytest.mark.parametrize(
    ("activity", "message"),
    [
        (ARRAY[:1], r"^activity must have at least two samples, got shape \(1, 3\)\. One sample has no covariance"),
        (ARRAY[:0], r"at least two samples, got shape \(0, 3\)"),
        (ARRAY[:, :0], r"at least one of units, got shape \(4, 0\)"),
        (ARRAY[0], r"^activity must be real numbers of shape \(samples, units\), got shape \(3,\)\. One row is"),
        (ARRAY[None], r"got shape \(1, 4, 3\)\. .*\.reshape\(-1, units\)"),
        (ARRAY + 1j, r"^activity must be real, got complex128"),
        (OnDisk(ARRAY + 1j), r"^activity must be real, got complex128"),
        (with_one(np.nan), r"^activity must have no missing numbers, got nan at sample 2, unit 1, the first"),
        (OnDisk(with_one(np.inf)), r"^activity must have no infinite numbers, got inf at sample 2, unit 1"),
        (pd.DataFrame(with_one(np.nan), columns=list("abc")), r"at sample 2, unit 'b'"),
        (scipy.sparse.csr_array(with_one(np.nan)), r"got nan at sample 2, unit 1"),
        (torch.tensor(with_one(np.nan)), r"got nan at sample 2, unit 1"),
        (ARRAY.astype(object), r"^activity must hold real numbers, got object"),
        (pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": [1, 2, 3]}), r"of which 1 are missing"),
        (ARRAY.astype("datetime64[s]"), r"^activity must hold real numbers, got datetime64"),
        (np.ma.masked_array(ARRAY, ARRAY > 2), r"^activity must have no masked entries, got 3"),
        ("spikes.npy", r"^activity must be real numbers .*np\.load\(path, mmap_mode=\"r\"\)"),
        (Path("spikes.npy"), r"np\.load\(path"),
        ({"spikes": ARRAY}, r"^activity must be .*got dict\. Pass one of the arrays in it"),
        (ARRAY * 1e200, r"^the similarity of activity must be finite.*divide activity by a number"),
        (ARRAY * 1e-200, r"^activity must have squares that float64 can hold.*Multiply activity by a number"),
    ],
)
def test_activity_that_cannot_be_measured_is_refused(activity: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.similarity_of_activity(activity)


def test_the_first_missing_number_is_named_by_its_place_in_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_BLOCK_BYTES", 100)
    values = ACTIVITY.copy()
    values[33, 4] = np.nan
    with pytest.raises(ValueError, match="at sample 33, unit 4"):
        ml.similarity_of_activity(OnDisk(values))
    gradients = GRADIENTS.copy()
    gradients[11, 2, 7] = np.nan
    with pytest.raises(ValueError, match=r"gradients must have no missing .* sample 11, unit 2, direction 7"):
        ml.similarity_of_gradients(gradients)


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (GRADIENTS[:1], r"^gradients must have at least two samples.*g @ g\.T"),
        (GRADIENTS[:, :, :0], r"^gradients must have at least one of directions"),
        (GRADIENTS[0], r"^gradients must be real numbers of shape \(samples, units, directions\), got shape \(5, 9\)"),
        (GRADIENTS * 1j, r"^gradients must be real"),
        (GRADIENTS * 1e-200, r"^gradients must have squares"),
        (GRADIENTS * 1e200, r"^the similarity of gradients must be finite"),
    ],
)
def test_gradients_that_cannot_be_measured_are_refused(gradients: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.similarity_of_gradients(gradients)


def test_a_blip_in_one_of_many_samples_counts_as_constant_and_is_no_error() -> None:
    values = np.random.default_rng(0).standard_normal((200_000, 2))
    values[:, 1] = 1.0
    values[0, 1] += 1e-13
    assert ml.similarity_of_activity(values)["input_covariance"][1, 1] == 0


def test_a_data_set_whose_slices_are_not_of_its_shape_is_refused() -> None:
    values = OnDisk(ACTIVITY)
    values.shape = (60, 7)
    with pytest.raises(ValueError, match=r"^activity must give slices of its shape, got \(50, 7\)"):
        ml.similarity_of_activity(values)


def test_neither_torch_nor_pandas_is_loaded_for_arrays() -> None:
    code = (
        "import sys, numpy as np, modularity_lib as ml\n"
        "ml.similarity_of_activity(np.eye(3)); ml.similarity_of_gradients(np.ones((2, 3, 4)))\n"
        "print({'torch', 'pandas', 'numba', 'dask'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


MEASURE_FROM_DISK = """
import os, resource, sys, time
import numpy as np, psutil
import modularity_lib as ml
ml.find_modules(ml.similarity_of_activity(np.eye(4))["input_covariance"] + 1)  # loads and compiles
child = os.fork()  # whose largest memory does not count what compiling took
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
before, began = psutil.Process().memory_info().rss, time.process_time()
S = ml.similarity_of_activity(np.load(sys.argv[1], mmap_mode="r"))
modules = ml.find_modules(S["input_covariance_norm"])
used = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(time.process_time() - began, used / 1e6, len(set(modules.labels)))
"""


def test_ten_thousand_samples_of_a_thousand_units_go_from_disk_to_modules_in_little_memory(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    group = np.arange(1024) % 8
    values = random.standard_normal((10_000, 8), np.float32)[:, group] + 2 * random.standard_normal((10_000, 1024))
    np.save(tmp_path / "spikes.npy", values.astype(np.float32))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_FROM_DISK, tmp_path / "spikes.npy"], capture_output=True, text=True, check=True
    )
    seconds, megabytes, modules = map(float, done.stdout.split())
    assert modules == 8
    assert megabytes < 500
    assert seconds < 5  # of one core


def test_more_units_than_samples_are_pointed_out() -> None:
    activity = np.random.default_rng(0).normal(size=(5, 8))
    with pytest.warns(recordings.MoreUnitsThanSamples, match=r"8 units but 5 samples.*pass activity\.T"):
        ml.similarity_of_activity(activity)
