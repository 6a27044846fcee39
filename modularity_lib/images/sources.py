"""Where images come from: the file in the project, the user's folder, the cache or a mirror; and their checksums."""

import gzip
import hashlib
import io
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
from filelock import FileLock

from modularity_lib.extras import ExtraMissing, need_extra

MNIST_5K_FILE = Path(__file__).with_name("mnist_5k.npz")
DATA_VARIABLE = "MODULARITY_DATA"  # names a folder of the user's own copies; they are read, never changed
CACHE_FOLDER = Path(platformdirs.user_cache_dir("modularity-lib"))
IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_TIMEOUT = 20  # seconds a mirror may stay silent before the next one is tried
_MANY_FILES = 1000  # of a user's folder that are looked at for one of another name
_GZIP_MAGIC = b"\x1f\x8b"


class DatasetUnavailable(RuntimeError):
    """A dataset is neither at hand nor to be had; the message says what is missing and the ways out."""


class DatasetAltered(RuntimeError):
    """A file exists but does not hold the published bytes (cut short, changed, or another dataset)."""


class GreyImages(NamedTuple):
    """The same two sets as they are stored: grey values 0 to 255, shape (images, pixels), and labels, all uint8."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class EmbeddedSource:
    """The file of 5,000 digits that comes with the library; the last 100 of each class are its test set."""

    sha256: str  # of the file
    n_train_images: int
    n_test_images: int
    content_sha256: str  # of the arrays, see `data.Dataset.sha256`

    def read(self) -> GreyImages:
        """Read the file and check it; the last 100 images of each digit are for testing."""
        try:
            raw = MNIST_5K_FILE.read_bytes()
        except FileNotFoundError:
            raise DatasetUnavailable(
                f"mnist-5k: {MNIST_5K_FILE} is missing. The file is part of the package: install the package again."
            ) from None
        except OSError as error:
            raise DatasetUnavailable(f"mnist-5k: {_cannot_be_read(MNIST_5K_FILE, error)}.") from error
        _check(raw, self.sha256, where=str(MNIST_5K_FILE))
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
        is_test = np.zeros(len(labels), dtype=bool)
        for label in np.unique(labels):
            is_test[np.flatnonzero(labels == label)[-100:]] = True
        return GreyImages(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


@dataclass(frozen=True)
class IdxSource:
    """Four files in the format of MNIST, `IDX_FILES`, gzipped or not.

    They come from the folder named by MODULARITY_DATA if that is set, else from the cache, else from a mirror.
    """

    name: str  # of the dataset, and of its folder in the cache
    subfolder: str  # of the folder named by MODULARITY_DATA
    mirrors: tuple[str, ...]  # addresses that end in "/", tried in turn
    sha256: Mapping[str, str]  # of the uncompressed bytes of each file: the gzip wrapper differs between mirrors
    n_train_images: int = 60_000
    n_test_images: int = 10_000
    content_sha256: str | None = None  # of the arrays, see `data.Dataset.sha256`; None where nobody had the files yet

    def read(self) -> GreyImages:
        """Read the four files, fetched before where they are not at hand, and check them."""
        chosen = os.environ.get(DATA_VARIABLE)
        raw = self._from_folder(Path(os.path.expanduser(chosen))) if chosen else self._from_cache()
        arrays = [parse_idx(raw[file], n_dimensions=3 if "images" in file else 1) for file in IDX_FILES]
        return GreyImages(*(array.reshape(len(array), -1) if array.ndim == 3 else array for array in arrays))

    def _from_folder(self, chosen: Path) -> dict[str, bytes]:
        folder = chosen / self.subfolder
        setting = f"{self.name}: {DATA_VARIABLE} is {str(chosen)!r}, but"
        if not os.path.isdir(folder):
            raise DatasetUnavailable(f"{setting} there is no folder {folder}.\n{self._ways_out()}")
        try:
            copies = {file: self._copy(folder, file) for file in IDX_FILES}
        except OSError as error:
            where = Path(error.filename or folder)
            raise DatasetUnavailable(f"{setting} {_cannot_be_read(where, error)}.\n{self._ways_out()}") from error
        found = {file: raw for file, raw in copies.items() if raw is not None}
        missing = [file for file in IDX_FILES if file not in found]
        if missing:
            raise DatasetUnavailable(
                f"{setting} {folder} lacks {', '.join(missing)} (with or without .gz)."
                f"{_alike(folder, missing)}\n{self._ways_out()}"
            )
        return found

    def _from_cache(self) -> dict[str, bytes]:
        copies = {file: self._cached(file) for file in IDX_FILES}
        found = {file: raw for file, raw in copies.items() if raw is not None}
        if len(found) == len(IDX_FILES):  # a cache that is complete needs no lock, so it may be read-only
            return found
        try:
            need_extra("studies", f"the download of {self.name} needs", "pooch")
        except ExtraMissing as error:
            raise DatasetUnavailable(f"{self.name}: {error}.\n{self._ways_out()}") from error
        folder = CACHE_FOLDER / self.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):  # a second process waits here, then finds the files of the first
                return {file: found.get(file) or self._cached(file) or self._download(file) for file in IDX_FILES}
        except (OSError, NotImplementedError) as error:  # the latter of file systems that have no locks
            raise DatasetUnavailable(f"{self.name}: the cache cannot be used: {error}.\n{self._ways_out()}") from error

    def _cached(self, file: str) -> bytes | None:
        try:
            return self._copy(CACHE_FOLDER / self.name, file)
        except (DatasetAltered, OSError):
            return None  # the cache is ours: a bad copy is fetched anew, and then replaced

    def _copy(self, folder: Path, file: str) -> bytes | None:
        """Uncompressed bytes of the first good copy in a folder; None without a copy, an error if all are bad."""
        fault: DatasetAltered | OSError | None = None
        for path in (folder / f"{file}.gz", folder / file):
            try:
                return _uncompressed(path.read_bytes(), self.sha256[file], where=str(path))
            except (FileNotFoundError, IsADirectoryError):
                continue
            except (DatasetAltered, OSError) as error:
                fault = error
        if fault is not None:
            raise fault
        return None

    def _download(self, file: str) -> bytes:
        """Fetch one file into the cache, from the first mirror that gives the published bytes."""
        import pooch

        target = CACHE_FOLDER / self.name / f"{file}.gz"
        part = target.with_suffix(".part")  # same folder, so that os.replace is atomic; only the lock's holder is here
        fetch = pooch.HTTPDownloader(progressbar=True, timeout=_TIMEOUT)
        failures = self._faults(file)
        for mirror in self.mirrors:
            address = f"{mirror}{file}.gz"
            try:
                fetch(address, str(part), None)
                raw = _uncompressed(part.read_bytes(), self.sha256[file], where=address)
                os.replace(part, target)
            except (OSError, DatasetAltered) as error:  # every error of `requests` is an OSError
                failures.append(f"  {address}: {error}")
            else:
                return raw
            finally:
                part.unlink(missing_ok=True)
        raise DatasetUnavailable(
            f"{self.name}: there is no good copy of {file} in the cache, and no mirror gave one:\n"
            + "\n".join(failures)
            + f"\n{self._ways_out()}"
        )

    def _faults(self, file: str) -> list[str]:
        """What is the matter with the copy in the cache: a line, or none where there is no copy."""
        try:
            self._copy(CACHE_FOLDER / self.name, file)
        except DatasetAltered as error:
            return [f"  {error}"]
        except OSError as error:
            return [f"  {_cannot_be_read(Path(error.filename or CACHE_FOLDER), error)}"]
        return []

    def _ways_out(self) -> str:
        subfolder = f" in its subfolder {self.subfolder!r}" if self.subfolder else ""
        return (
            f"Three ways out: (1) set {DATA_VARIABLE} to a folder that holds {', '.join(IDX_FILES)}{subfolder}, with "
            f"or without .gz; (2) with {DATA_VARIABLE} unset, put these files into {CACHE_FOLDER / self.name} or run "
            'again with a network connection; (3) use load_dataset("mnist-5k"), which comes with the project.'
        )


DATASETS: dict[str, EmbeddedSource | IdxSource] = {
    "mnist-5k": EmbeddedSource(
        sha256="970702d994c498f4ed47376383483ffa572089f72cd489dad1f40f362dbc14bf",
        n_train_images=4_000,
        n_test_images=1_000,
        content_sha256="6f1dec24eae41a252e3fca6a88ec181b02f7b1216ac93dfe6f7b9ad531d0aaef",
    ),
    "mnist": IdxSource(
        name="mnist",
        subfolder="",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        content_sha256="06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
    ),
    "fashion-mnist": IdxSource(
        name="fashion-mnist",
        subfolder="fashion-mnist",
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # serves no https; the checksum decides
        ),
        sha256={
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
}


def parse_idx(raw: bytes, *, n_dimensions: int) -> np.ndarray:
    """Array of unsigned bytes held by an idx file, the format of MNIST.

    The header is two zero bytes, the type (8 = unsigned byte), the number of dimensions, and the size of each dimension
    as a big-endian 32-bit number; the values follow in row-major order, and nothing after them.

    Returns:
        Read-only uint8 array with `n_dimensions` axes.
    Raises:
        ValueError: the header or the length is not that of such a file.
    Source: LeCun, Cortes & Burges, The MNIST database of handwritten digits.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), n_dimensions=1)
    array([7, 9], dtype=uint8)
    """
    expected = bytes([0, 0, 8, n_dimensions])
    if raw[:4] != expected:
        raise ValueError(
            f"raw must start with {expected.hex(' ')} (unsigned bytes, {n_dimensions} dimensions), got "
            f"{raw[:4].hex(' ')!r}: not an uncompressed idx file of this kind."
        )
    start = 4 + 4 * n_dimensions
    if len(raw) < start:
        raise ValueError(f"raw must hold a header of {start} bytes, got {len(raw)} bytes: the file is cut short.")
    shape = struct.unpack(f">{n_dimensions}I", raw[4:start])
    n_values = int(np.prod(shape, dtype=object))  # whole numbers of any size: a wrong header must not overflow
    if len(raw) - start != n_values:
        raise ValueError(
            f"raw must hold {n_values} values after its header, as its shape {shape} says, got {len(raw) - start}: the "
            "file is cut short or is not an idx file."
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def _uncompressed(packed: bytes, expected: str, *, where: str) -> bytes:
    """Unpack a file's bytes and check them. The bytes say whether they are packed: some mirrors unpack, keeping .gz."""
    raw = packed
    if packed[:2] == _GZIP_MAGIC:
        try:
            raw = gzip.decompress(packed)
        except (EOFError, OSError, zlib.error) as error:
            raise DatasetAltered(
                f"{where} cannot be unpacked ({error}): it is cut short or damaged. Found SHA-256 "
                f"{hashlib.sha256(packed).hexdigest()} (packed), expected {expected} (uncompressed). Replace it by a "
                "fresh copy."
            ) from error
    _check(raw, expected, where=where)
    return raw


def _cannot_be_read(path: Path, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror}): make it a file that this user may read"


def _alike(folder: Path, missing: Sequence[str]) -> str:
    """A sentence on files that may be those that are missing, under another name or a folder deeper; empty if none."""

    def letters(name: str) -> str:
        return "".join(filter(str.isalnum, name.lower()))

    wanted = {letters(file): file for file in missing}
    found = []
    for path in sorted(islice(folder.rglob("*"), _MANY_FILES)):
        name = letters(path.name)
        if path.parent == folder and path.name.removesuffix(".gz") in IDX_FILES and os.path.isfile(path):
            continue  # it is at its place
        contained = [file for part, file in wanted.items() if part in name]
        near = [wanted[part] for part in get_close_matches(name.removesuffix("gz"), wanted, n=1, cutoff=0.9)]
        if os.path.isfile(path):
            found += [f"{path.relative_to(folder)} for {file}" for file in (contained or near)[:1]]
    return f" Alike is {', '.join(found)}: give it that name and place, with .gz if it is packed." if found else ""


def _check(raw: bytes, expected: str, *, where: str) -> None:
    found = hashlib.sha256(raw).hexdigest()
    if found != expected:
        raise DatasetAltered(
            f"{where} is not the published file: found SHA-256 {found}, expected {expected} (uncompressed). "
            "Replace it by a fresh copy."
        )
