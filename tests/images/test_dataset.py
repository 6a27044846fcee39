"""Datasets: what they hold, where they are read from, and what happens to missing, damaged or contested files.

No test leaves this machine: the mirrors are servers on the loopback address, and the cache is a temporary folder.
"""

import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from modularity_lib.images import dataset as data
from modularity_lib.images import sources
from modularity_lib.paths import checkout

USERS_FOLDER = os.environ.get("MODULARITY_DATA")  # read before `own_cache` hides it
needs_full_mnist = pytest.mark.skipif(
    not USERS_FOLDER, reason="set MODULARITY_DATA to a folder with the four files of MNIST to run this test"
)
PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "data" / "README.md").read_text(encoding="utf-8")
DIGITS_README = sources.MNIST_5K_FILE.with_name("README.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- a tiny dataset and its mirrors


def idx_bytes(array):
    """Reference writer of the idx format."""
    header = b"\x00\x00\x08" + bytes([array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + bytes(array.ravel().tolist())


def sha256(content):
    return hashlib.sha256(content).hexdigest()


RANDOM = np.random.default_rng(7)
TINY_ARRAYS = {
    "train-images-idx3-ubyte": RANDOM.integers(256, size=(6, 2, 3)),
    "train-labels-idx1-ubyte": RANDOM.integers(10, size=6),
    "t10k-images-idx3-ubyte": RANDOM.integers(256, size=(4, 2, 3)),
    "t10k-labels-idx1-ubyte": RANDOM.integers(10, size=4),
}
TINY_FILES = {name: idx_bytes(array) for name, array in TINY_ARRAYS.items()}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in TINY_FILES.items()}
IMAGES = "train-images-idx3-ubyte"


class Mirror:
    """A server on the loopback address that hands out `files` and notes what it was asked for."""

    def __init__(self, files):
        self.files, self.asked, self.delay, self.cut = dict(files), [], 0.0, 0
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                mirror.asked.append(name)
                time.sleep(mirror.delay)
                if name not in mirror.files:
                    self.send_error(404)
                    return
                content = mirror.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) - mirror.cut])

            def log_message(self, *_):
                """Keep the test output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def mirror():
    server = Mirror(PACKED)
    yield server
    server.stop()


@pytest.fixture
def dead_mirror():
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # held and not listening, so every connection is refused
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Every test starts with an empty cache, MODULARITY_DATA unset, and no proxy between it and its mirrors."""
    monkeypatch.setattr(sources, "CACHE_FOLDER", tmp_path / "cache")
    monkeypatch.delenv("MODULARITY_DATA", raising=False)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    return tmp_path / "cache" / "tiny"


@pytest.fixture
def tiny(monkeypatch):
    """Register the dataset "tiny" with the given mirrors."""

    def register(*mirrors, subfolder=""):
        checksums = {name: sha256(content) for name, content in TINY_FILES.items()}
        source = sources.IdxSource(name="tiny", subfolder=subfolder, mirrors=mirrors, sha256=checksums)
        monkeypatch.setitem(sources.DATASETS, "tiny", source)

    return register


@pytest.fixture
def users_folder(tmp_path, monkeypatch):
    """A folder with good gzipped copies, named by MODULARITY_DATA."""
    folder = tmp_path / "users"
    fill(folder, PACKED)
    monkeypatch.setenv("MODULARITY_DATA", str(folder))
    return folder


def fill(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_is_tiny(dataset):
    for images, labels, prefix in (
        (dataset.train_images, dataset.train_labels, "train"),
        (dataset.test_images, dataset.test_labels, "t10k"),
    ):
        grey = TINY_ARRAYS[f"{prefix}-images-idx3-ubyte"].reshape(-1, 6)
        np.testing.assert_array_equal(images, (grey / 255).astype(np.float32))
        np.testing.assert_array_equal(labels, TINY_ARRAYS[f"{prefix}-labels-idx1-ubyte"])


def change_one_byte(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


# ---------------------------------------------------------------- mnist-5k


def test_mnist_5k_holds_400_and_100_images_of_each_digit():
    digits = data.load_dataset("mnist-5k")
    assert digits.name == "mnist-5k"
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10
    assert digits.train_images.shape == (4000, 784)
    assert digits.test_images.shape == (1000, 784)


def test_images_are_float32_in_0_to_1_and_labels_int64():
    digits = data.load_dataset("mnist-5k")
    for images, labels in ((digits.train_images, digits.train_labels), (digits.test_images, digits.test_labels)):
        assert images.dtype == np.float32
        assert labels.dtype == np.int64
        assert images.min() == 0.0
        assert images.max() == 1.0
        np.testing.assert_array_equal(images, (np.round(images * 255) / 255).astype(np.float32))


def test_mnist_5k_is_the_default():
    assert data.load_dataset().name == "mnist-5k"


def test_test_images_of_mnist_5k_are_the_last_hundred_of_each_digit_in_file_order():
    with np.load(sources.MNIST_5K_FILE, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    assert labels.tolist() == sorted(list(range(10)) * 500)  # so digit d fills rows 500 d to 500 d + 499
    test_rows = [500 * digit + row for digit in range(10) for row in range(400, 500)]
    train_rows = [500 * digit + row for digit in range(10) for row in range(400)]
    digits = data.load_dataset("mnist-5k")
    np.testing.assert_array_equal(np.round(digits.test_images * 255), images[test_rows])
    np.testing.assert_array_equal(np.round(digits.train_images * 255), images[train_rows])
    np.testing.assert_array_equal(digits.test_labels, labels[test_rows])
    np.testing.assert_array_equal(digits.train_labels, labels[train_rows])


@needs_full_mnist
def test_mnist_5k_is_the_first_500_training_images_of_each_digit_of_mnist(monkeypatch):
    monkeypatch.setenv("MODULARITY_DATA", USERS_FOLDER)
    full, digits = data.load_dataset("mnist"), data.load_dataset("mnist-5k")
    for digit in range(10):
        first = full.train_images[full.train_labels == digit][:500]
        np.testing.assert_array_equal(digits.train_images[digits.train_labels == digit], first[:400])
        np.testing.assert_array_equal(digits.test_images[digits.test_labels == digit], first[400:])


def test_a_changed_byte_in_mnist_5k_is_noticed(tmp_path, monkeypatch):
    good = sources.MNIST_5K_FILE.read_bytes()
    altered = tmp_path / "mnist_5k.npz"
    altered.write_bytes(change_one_byte(good))
    monkeypatch.setattr(sources, "MNIST_5K_FILE", altered)
    with pytest.raises(sources.DatasetAltered) as raised:
        data.load_dataset("mnist-5k")
    for part in (str(altered), sha256(good), sha256(altered.read_bytes())):
        assert part in str(raised.value)


def test_without_its_file_mnist_5k_asks_for_another_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MNIST_5K_FILE", tmp_path / "mnist_5k.npz")
    with pytest.raises(sources.DatasetUnavailable, match=r"mnist_5k\.npz is missing.*install the package again"):
        data.load_dataset("mnist-5k")


def test_the_readme_states_the_checksums_in_use():
    digits = data.load_dataset("mnist-5k")
    assert digits.sha256 in README
    assert sha256(sources.MNIST_5K_FILE.read_bytes()) in DIGITS_README
    for name in ("mnist", "fashion-mnist"):
        for file, checksum in sources.DATASETS[name].sha256.items():
            assert f"| `{file}` |" in README
            assert f"`{checksum}` |" in README


# ---------------------------------------------------------------- any dataset


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'mnist-5k', 'mnist', 'fashion-mnist', got 'cifar10'"):
        data.load_dataset("cifar10")


def test_the_checksum_of_a_dataset_is_that_of_its_grey_values_and_labels():
    digits = data.load_dataset("mnist-5k")
    grey = [np.round(images * 255).astype(np.uint8) for images in (digits.train_images, digits.test_images)]
    labels = [array.astype(np.uint8) for array in (digits.train_labels, digits.test_labels)]
    parts = [grey[0], labels[0], grey[1], labels[1]]
    assert digits.sha256 == sha256(b"".join(part.tobytes() for part in parts))


def test_the_checksum_changes_with_every_array():
    arrays = [array.reshape(len(array), -1) if array.ndim > 1 else array for array in TINY_ARRAYS.values()]
    arrays = [array.astype(np.uint8) for array in arrays]
    checksums = {data.dataset_of("tiny", sources.GreyImages(*arrays)).sha256}
    for index in range(4):
        changed = [array.copy() for array in arrays]
        changed[index].flat[-1] ^= 1
        checksums.add(data.dataset_of("tiny", sources.GreyImages(*changed)).sha256)
    assert len(checksums) == 5


def test_the_arrays_of_a_dataset_cannot_be_changed():
    digits = data.load_dataset("mnist-5k")
    for array in (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_images": np.zeros((3, 4))}, "must be uint8, got float64"),
        ({"test_labels": np.zeros(2, dtype=np.int64)}, "must be uint8, got uint8 and int64"),
        ({"train_images": np.zeros((3, 2, 2), dtype=np.uint8)}, r"got \(3, 2, 2\)"),
        ({"test_labels": np.zeros(3, dtype=np.uint8)}, r"test_images .* got \(2, 4\) and \(3,\)"),
    ],
)
def test_arrays_of_another_kind_are_refused(changed, message):
    arrays = {
        "train_images": np.zeros((3, 4), dtype=np.uint8),
        "train_labels": np.zeros(3, dtype=np.uint8),
        "test_images": np.zeros((2, 4), dtype=np.uint8),
        "test_labels": np.zeros(2, dtype=np.uint8),
    }
    with pytest.raises(ValueError, match=message):
        data.dataset_of("zeros", sources.GreyImages(**(arrays | changed)))


# ---------------------------------------------------------------- the user's own folder


@needs_full_mnist
def test_full_mnist_has_the_published_checksums_and_sizes(monkeypatch):
    published = {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
    assert sources.DATASETS["mnist"].sha256 == published
    monkeypatch.setenv("MODULARITY_DATA", USERS_FOLDER)
    mnist = data.load_dataset("mnist")
    assert mnist.train_images.shape == (60_000, 784)
    assert mnist.test_images.shape == (10_000, 784)
    assert np.bincount(mnist.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.sha256 in README


@pytest.mark.parametrize("files", [PACKED, TINY_FILES], ids=["gzipped", "uncompressed"])
@pytest.mark.parametrize("subfolder", ["", "fashion-mnist"])
def test_the_users_folder_may_hold_gzipped_or_uncompressed_files(files, subfolder, tiny, tmp_path, monkeypatch):
    tiny(subfolder=subfolder)
    fill(tmp_path / "users" / subfolder, files)
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path / "users"))
    assert_is_tiny(data.load_dataset("tiny"))


def test_an_empty_setting_counts_as_unset(mirror, tiny, monkeypatch):
    tiny(mirror.address)
    monkeypatch.setenv("MODULARITY_DATA", "")
    assert_is_tiny(data.load_dataset("tiny"))


ALTERED = change_one_byte(TINY_FILES[IMAGES])


@pytest.mark.parametrize(
    ("name", "content", "reported"),
    [
        (f"{IMAGES}.gz", gzip.compress(ALTERED), ALTERED),
        (f"{IMAGES}.gz", PACKED[f"{IMAGES}.gz"][:-9], PACKED[f"{IMAGES}.gz"][:-9]),
        (f"{IMAGES}.gz", change_one_byte(PACKED[f"{IMAGES}.gz"]), change_one_byte(PACKED[f"{IMAGES}.gz"])),
        (IMAGES, TINY_FILES[IMAGES][:-1], TINY_FILES[IMAGES][:-1]),
        (IMAGES, b"", b""),
    ],
    ids=["gzipped-altered", "gzip-cut-short", "gzip-altered", "uncompressed-cut-short", "empty"],
)
def test_a_bad_file_in_the_users_folder_is_an_error_and_is_left_alone(
    name, content, reported, mirror, tiny, users_folder
):
    tiny(mirror.address)
    (users_folder / f"{IMAGES}.gz").unlink()
    (users_folder / name).write_bytes(content)
    before = content_of(users_folder)
    with pytest.raises(sources.DatasetAltered) as raised:
        data.load_dataset("tiny")
    assert str(users_folder / name) in str(raised.value)
    assert f"expected {sha256(TINY_FILES[IMAGES])}" in str(raised.value)
    assert f"ound SHA-256 {sha256(reported)}" in str(raised.value)  # "Found" or "found"
    assert content_of(users_folder) == before
    assert mirror.asked == []


def test_a_file_missing_from_the_users_folder_is_an_error_even_if_a_mirror_has_it(mirror, tiny, users_folder):
    tiny(mirror.address)
    (users_folder / f"{IMAGES}.gz").unlink()
    (users_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(sources.DatasetUnavailable) as raised:
        data.load_dataset("tiny")
    assert f"{users_folder} lacks {IMAGES}, t10k-labels-idx1-ubyte (with" in str(raised.value)
    assert_names_three_ways_out(str(raised.value))
    assert mirror.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "t10k-labels.idx1-ubyte",
        "t10k-labels-idx1-ubyte.gz.1",
        "t10k-labels-idx1-ubyte (1).gz",
        "T10K_LABELS_IDX1_UBYTE",
        "t10k-label-idx1-ubyte",
        "raw/t10k-labels-idx1-ubyte",
        "t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte",
    ],
)
def test_a_file_of_nearly_the_name_that_is_missing_is_named(name, tiny, users_folder):
    tiny()
    (users_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    (users_folder / name).parent.mkdir(exist_ok=True)
    (users_folder / name).write_bytes(b"")
    with pytest.raises(sources.DatasetUnavailable) as raised:
        data.load_dataset("tiny")
    assert f"Alike is {name} for t10k-labels-idx1-ubyte: give it that name" in str(raised.value)


def test_files_of_other_names_are_not_taken_for_one_that_is_missing(tiny, users_folder):
    tiny()
    (users_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    (users_folder / "labels.csv").write_bytes(b"")
    with pytest.raises(sources.DatasetUnavailable) as raised:
        data.load_dataset("tiny")
    assert "Alike" not in str(raised.value)


def no_permission(monkeypatch, *names):
    """Let files of these names be there and not be readable, for root too."""
    read = Path.read_bytes

    def refuse(path):
        if path.name in names and path.exists():
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)


def test_a_file_in_the_users_folder_that_may_not_be_read_is_named(tiny, users_folder, monkeypatch):
    tiny()
    no_permission(monkeypatch, f"{IMAGES}.gz")
    with pytest.raises(sources.DatasetUnavailable) as raised:
        data.load_dataset("tiny")
    assert f"{users_folder / IMAGES}.gz cannot be read (Permission denied)" in str(raised.value)
    assert_names_three_ways_out(str(raised.value))


def test_a_readable_copy_serves_though_the_packed_one_may_not_be_read(tiny, users_folder, monkeypatch):
    tiny()
    (users_folder / IMAGES).write_bytes(TINY_FILES[IMAGES])
    no_permission(monkeypatch, f"{IMAGES}.gz")
    assert_is_tiny(data.load_dataset("tiny"))


@pytest.mark.parametrize("is_online", [True, False])
def test_a_file_in_the_cache_that_may_not_be_read_is_fetched_anew_or_named(
    is_online, mirror, dead_mirror, tiny, own_cache, monkeypatch
):
    fill(own_cache, PACKED)
    tiny(mirror.address if is_online else dead_mirror)
    no_permission(monkeypatch, f"{IMAGES}.gz")
    if is_online:
        assert_is_tiny(data.load_dataset("tiny"))
        assert mirror.asked == [f"{IMAGES}.gz"]
    else:
        with pytest.raises(sources.DatasetUnavailable, match=r"gz cannot be read \(Permission denied\)"):
            data.load_dataset("tiny")


def test_the_digits_of_the_project_that_may_not_be_read_are_named(monkeypatch):
    no_permission(monkeypatch, "mnist_5k.npz")
    with pytest.raises(sources.DatasetUnavailable, match=r"mnist_5k\.npz cannot be read \(Permission denied\)"):
        data.load_dataset("mnist-5k")


def test_a_setting_that_names_no_folder_is_an_error(mirror, tiny, tmp_path, monkeypatch):
    tiny(mirror.address)
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(sources.DatasetUnavailable, match="there is no folder") as raised:
        data.load_dataset("tiny")
    assert str(tmp_path / "nowhere") in str(raised.value)
    assert_names_three_ways_out(str(raised.value))
    assert mirror.asked == []


def assert_names_three_ways_out(message):
    assert "Three ways out: (1) set MODULARITY_DATA to a folder that holds" in message
    assert f"put these files into {sources.CACHE_FOLDER / 'tiny'} or run again with a network" in message
    assert '(3) use load_dataset("mnist-5k")' in message
    for file in TINY_FILES:
        assert file in message


# ---------------------------------------------------------------- cache and mirrors


def test_missing_files_are_downloaded_once_and_nothing_else_is_left_in_the_cache(mirror, tiny, own_cache):
    tiny(mirror.address)
    assert_is_tiny(data.load_dataset("tiny"))
    assert sorted(mirror.asked) == sorted(PACKED)
    assert_is_tiny(data.load_dataset("tiny"))
    assert len(mirror.asked) == 4
    assert_cache_is_clean(own_cache)


def assert_cache_is_clean(folder):
    """The cache holds the four good files and, on some systems, the empty lock file."""
    found = content_of(folder)
    assert found.pop(".lock", b"") == b""
    assert {name: gzip.decompress(content) for name, content in found.items()} == {
        f"{name}.gz": content for name, content in TINY_FILES.items()
    }


def test_files_put_into_the_cache_by_hand_are_used(dead_mirror, tiny, own_cache):
    tiny(dead_mirror)
    fill(own_cache, TINY_FILES)
    assert_is_tiny(data.load_dataset("tiny"))


@pytest.mark.parametrize(
    "bad", [PACKED[f"{IMAGES}.gz"][:-9], b"", gzip.compress(b"other")], ids=["cut", "empty", "other"]
)
def test_a_bad_file_in_the_cache_is_fetched_anew_and_replaced(bad, mirror, tiny, own_cache):
    tiny(mirror.address)
    fill(own_cache, PACKED | {f"{IMAGES}.gz": bad})
    assert_is_tiny(data.load_dataset("tiny"))
    assert mirror.asked == [f"{IMAGES}.gz"]
    assert_cache_is_clean(own_cache)


def test_the_second_mirror_is_used_when_the_first_is_dead(dead_mirror, mirror, tiny):
    tiny(dead_mirror, mirror.address)
    assert_is_tiny(data.load_dataset("tiny"))


@pytest.mark.parametrize(
    "wrong", [b"<html>please log in</html>", gzip.compress(b"other"), None], ids=["page", "other", "404"]
)
def test_the_second_mirror_is_used_when_the_first_hands_out_something_else(wrong, mirror, tiny, own_cache):
    portal = Mirror({} if wrong is None else dict.fromkeys(PACKED, wrong))
    try:
        tiny(portal.address, mirror.address)
        assert_is_tiny(data.load_dataset("tiny"))
    finally:
        portal.stop()
    assert sorted(portal.asked) == sorted(PACKED)
    assert_cache_is_clean(own_cache)


def test_a_mirror_that_unpacks_on_the_way_is_good_too(mirror, tiny):
    mirror.files = {f"{name}.gz": content for name, content in TINY_FILES.items()}
    tiny(mirror.address)
    assert_is_tiny(data.load_dataset("tiny"))


def test_a_connection_that_breaks_leaves_no_file_behind(mirror, tiny, own_cache):
    mirror.cut = 5
    tiny(mirror.address)
    with pytest.raises(sources.DatasetUnavailable):
        data.load_dataset("tiny")
    assert set(content_of(own_cache)) <= {".lock"}


def test_a_wrong_file_never_enters_the_cache(mirror, tiny, own_cache):
    mirror.files = dict.fromkeys(PACKED, gzip.compress(b"other"))
    tiny(mirror.address)
    with pytest.raises(sources.DatasetUnavailable, match=f"found SHA-256 {sha256(b'other')}"):
        data.load_dataset("tiny")
    assert set(content_of(own_cache)) <= {".lock"}


def test_without_a_network_there_is_one_error_with_three_ways_out(dead_mirror, tiny):
    tiny(dead_mirror, f"{dead_mirror}second/")
    with pytest.raises(sources.DatasetUnavailable) as raised:
        data.load_dataset("tiny")
    message = str(raised.value)
    assert f"no good copy of {IMAGES} in the cache" in message
    assert f"  {dead_mirror}{IMAGES}.gz: " in message
    assert f"  {dead_mirror}second/{IMAGES}.gz: " in message
    assert_names_three_ways_out(message)


def test_a_cache_that_cannot_be_made_is_reported_with_three_ways_out(mirror, tiny, own_cache):
    own_cache.parent.write_text("a file where the folder should be")
    tiny(mirror.address)
    with pytest.raises(sources.DatasetUnavailable, match="the cache cannot be used") as raised:
        data.load_dataset("tiny")
    assert_names_three_ways_out(str(raised.value))


LOADER = """
import json, pathlib, sys
from modularity_lib.images import dataset, sources
cache, mirror, checksums = json.loads(sys.argv[1])
sources.CACHE_FOLDER = pathlib.Path(cache)
sources.DATASETS["tiny"] = sources.IdxSource(name="tiny", subfolder="", mirrors=(mirror,), sha256=checksums)
print("ready", flush=True)
sys.stdin.readline()
print(dataset.load_dataset("tiny").sha256)
"""


def test_two_processes_at_once_end_with_one_good_copy(mirror, own_cache):
    mirror.delay = 0.1  # long enough that the second process comes while the first is still fetching
    checksums = {name: sha256(content) for name, content in TINY_FILES.items()}
    argument = json.dumps([str(sources.CACHE_FOLDER), mirror.address, checksums])
    package = str(checkout())
    loaders = [
        subprocess.Popen(
            [sys.executable, "-c", LOADER, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])},
        )
        for _ in range(2)
    ]
    assert [loader.stdout.readline() for loader in loaders] == ["ready\n"] * 2
    for loader in loaders:
        loader.stdin.write("go\n")
        loader.stdin.flush()
    results = [loader.communicate(timeout=60) for loader in loaders]
    assert [loader.returncode for loader in loaders] == [0, 0], results
    assert results[0][0] == results[1][0]
    assert sorted(mirror.asked) == sorted(PACKED)  # every file once: the second process found those of the first
    assert_cache_is_clean(own_cache)


# ---------------------------------------------------------------- the split of a run


def test_the_split_of_mnist_is_54_000_and_6_000_and_leaves_no_image_out():
    train_index, validation_index = data.train_validation_split(60_000, seed=3)
    assert (len(train_index), len(validation_index)) == (54_000, 6_000)
    assert sorted([*train_index, *validation_index]) == list(range(60_000))


def test_both_parts_of_a_split_are_in_ascending_order():
    for part in data.train_validation_split(1000, seed=3):
        assert part.tolist() == sorted(part.tolist())


def test_a_split_is_fixed_by_its_seed():
    first, again, other = (data.train_validation_split(100, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_split_is_drawn_from_the_second_random_stream_of_the_run():
    order = np.random.default_rng([5, 1]).permutation(50).tolist()
    assert data.train_validation_split(50, seed=5)[1].tolist() == sorted(order[:5])


def test_every_image_is_set_aside_equally_often():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[data.train_validation_split(20, seed=seed, validation_fraction=0.25)[1]] += 1
    expected, deviation = 2000 * 0.25, np.sqrt(2000 * 0.25 * 0.75)
    assert np.abs(counts - expected).max() < 4 * deviation  # binomial; 4 deviations for 20 images


@pytest.mark.parametrize(("n_images", "fraction"), [(10, 0.0), (10, 1.0), (10, 1.5), (10, -0.1), (3, 0.1), (0, 0.1)])
def test_a_split_with_an_empty_part_is_refused(n_images, fraction):
    with pytest.raises(ValueError, match=f"validation_fraction={fraction} of n_images={n_images}"):
        data.train_validation_split(n_images, seed=0, validation_fraction=fraction)


# ---------------------------------------------------------------- the idx format


@pytest.mark.parametrize("shape", [(5,), (3, 2, 4), (0,)])
def test_an_idx_file_gives_back_the_array_that_was_written(shape):
    array = np.random.default_rng(0).integers(256, size=shape)
    parsed = sources.parse_idx(idx_bytes(array), n_dimensions=len(shape))
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, array)


GOOD = idx_bytes(np.arange(6).reshape(1, 2, 3))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "must start with 00 00 08 03"),
        (b"\x1f\x8b" + GOOD[2:], "got '1f 8b 08 03'"),
        (GOOD[:2] + b"\x09" + GOOD[3:], "got '00 00 09 03'"),
        (idx_bytes(np.arange(6)), "3 dimensions"),
        (GOOD[:15], "header of 16 bytes, got 15"),
        (GOOD[:-1], r"6 values after its header, as its shape \(1, 2, 3\) says, got 5"),
        (GOOD + b"\x00", "got 7"),
        (GOOD[:4] + b"\xff" * 12, f"{(2**32 - 1) ** 3} values"),
    ],
    ids=["empty", "gzipped", "signed", "labels", "no-header", "cut-short", "too-long", "absurd-sizes"],
)
def test_a_file_that_is_not_idx_is_refused(raw, message):
    with pytest.raises(ValueError, match=message):
        sources.parse_idx(raw, n_dimensions=3)
