"""The store: entries are whole or absent, and checked whenever they are read."""

import errno
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modularity_lib.studies.entries import Entry, key_of
from modularity_lib.studies.heartbeat import running
from modularity_lib.studies.store import Store, StoreUnusable, default_store_folder

INGREDIENTS = {"run": 3, "l2": 1e-5}
KEY = key_of(INGREDIENTS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    entry = Entry({"accuracy": 0.5, "labels": [0, 1, -1]}, {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)})
    store.write("training", KEY, entry, ingredients=INGREDIENTS, seconds=1.5)
    return store


def place_of(store: Store) -> Path:
    return store.root / "training" / KEY[:2] / KEY


def test_what_was_written_is_read_back(store: Store) -> None:
    entry = store.read("training", KEY)
    assert entry is not None
    assert entry.facts == {"accuracy": 0.5, "labels": [0, 1, -1]}
    np.testing.assert_array_equal(entry.arrays["weight"], [[0, 1, 2], [3, 4, 5]])


def test_an_entry_records_its_ingredients_and_how_it_was_made(store: Store) -> None:
    facts = json.loads((place_of(store) / "facts.json").read_text())
    assert facts["ingredients"] == INGREDIENTS
    assert facts["provenance"]["seconds"] == 1.5
    assert facts["provenance"]["packages"]["torch"].startswith("2.")


def test_an_entry_that_is_not_there_is_none(store: Store) -> None:
    assert store.read("training", key_of({"run": 4})) is None
    assert not store.has("training", key_of({"run": 4}))


def test_the_key_depends_on_values_and_not_on_their_order() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of({"a": 1, "b": 2}) != key_of({"a": 1, "b": 3})


def test_sha256sum_accepts_the_checksum_file(store: Store) -> None:
    command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=place_of(store)).returncode == 0


def flip_a_bit(place: Path) -> None:
    file = place / "arrays.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def truncate(place: Path) -> None:
    file = place / "facts.json"
    file.write_bytes(file.read_bytes()[:-10])


def empty(place: Path) -> None:
    (place / "arrays.safetensors").write_bytes(b"")


def lose_a_file(place: Path) -> None:
    (place / "arrays.safetensors").unlink()


def lose_the_facts(place: Path) -> None:
    (place / "facts.json").unlink()


def lose_the_checksums(place: Path) -> None:
    (place / "SHA256SUMS").unlink()


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty, lose_a_file, lose_the_facts, lose_the_checksums])
def test_a_damaged_entry_is_set_aside_and_reported(damage, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    damage(place_of(store))
    with caplog.at_level(logging.WARNING):
        assert store.read("training", KEY) is None
    assert "computed again" in caplog.text
    assert not store.has("training", KEY)
    assert len(list((store.root / "set-aside").iterdir())) == 1


def test_a_file_that_the_system_left_in_an_entry_is_no_damage(store: Store) -> None:
    (place_of(store) / ".DS_Store").write_bytes(b"left by a file browser")
    assert store.read("training", KEY) is not None


def test_an_entry_that_cannot_be_read_for_now_is_not_set_aside(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", stale)
        with pytest.raises(StoreUnusable, match="cannot be read from the store"):
            store.read("training", KEY)
    assert store.read("training", KEY) is not None


def test_forgetting_a_stage_leaves_what_another_process_is_writing_there(store: Store) -> None:
    being_written = place_of(store).parent / ".elsewhere~12~abc"
    being_written.mkdir()
    store.remove("training")
    assert being_written.is_dir()
    assert store.keys("training") == []
    being_written.rmdir()
    store.remove("training")
    assert not (store.root / "training").exists()


def test_an_entry_of_another_key_under_this_name_is_set_aside(store: Store) -> None:
    other = key_of({"run": 4})
    impostor = store.root / "training" / other[:2] / other
    impostor.parent.mkdir(parents=True, exist_ok=True)
    place_of(store).rename(impostor)
    assert store.read("training", other) is None


def test_the_first_of_two_writers_stays(store: Store) -> None:
    store.write("training", KEY, Entry({"accuracy": 0.9}), ingredients=INGREDIENTS, seconds=0.0)
    entry = store.read("training", KEY)
    assert entry is not None
    assert entry.facts["accuracy"] == 0.5
    assert [folder.name for folder in place_of(store).parent.iterdir()] == [KEY]


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    other = key_of({"run": 4})
    with pytest.raises(OSError, match=r"No space left.*MODULARITY_STORE"):
        store.write("training", other, Entry({}), ingredients={"run": 4}, seconds=0.0)
    assert not store.has("training", other)
    assert not list(store.root.glob("*/*/.*"))


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnusable, match=r"results cannot be written to the store .*MODULARITY_STORE"):
        Store(tmp_path / "file" / "store").write("training", KEY, Entry({}), ingredients={}, seconds=0.0)


def test_a_value_that_json_cannot_hold_is_refused_rather_than_stored_as_nan(store: Store) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write("training", key_of({}), Entry({"accuracy": float("nan")}), ingredients={}, seconds=0.0)
    assert not list(store.root.glob("*/*/.*"))


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_kept(store: Store) -> None:
    script = (
        "import sys; from modularity_lib.studies.entries import temporary_prefix;"
        "import tempfile; print(tempfile.mkdtemp(prefix=temporary_prefix(), dir=sys.argv[1]))"
    )
    folder = place_of(store).parent
    dead = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    from modularity_lib.studies.entries import temporary_prefix

    living = folder / f"{temporary_prefix()}abc"
    living.mkdir()
    gone = int(Path(dead.stdout.strip()).name.split("~")[1])
    signs = store.root / "running" / "quick"
    signs.mkdir(parents=True)
    host = socket.gethostname()
    for name in (f"{host}~{gone}.json", f".{host}~{gone}.json", f"{host}~{os.getpid()}.json"):
        (signs / name).touch()
    other_hosts = folder / f".{host}-2~{gone}~abc"
    other_hosts.mkdir()
    assert store.remove_leftovers() == 3
    assert not Path(dead.stdout.strip()).exists()
    assert [file.name for file in signs.iterdir()] == [f"{host}~{os.getpid()}.json"]
    assert living.exists()
    assert other_hosts.exists()


def test_the_folder_of_the_store_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODULARITY_STORE", str(tmp_path))
    assert default_store_folder() == tmp_path
    monkeypatch.delenv("MODULARITY_STORE")
    assert default_store_folder() == Path(__file__).parents[2] / ".modularity"


def test_a_folder_that_may_not_be_read_is_a_clear_error_whatever_is_asked(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    entry = Entry({})
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        patched.setattr(Path, "stat", refuse)
        for ask in (
            lambda: store.has("training", KEY),
            lambda: store.read("training", KEY),
            lambda: store.keys("training"),
            lambda: store.remove("training"),
            store.remove_leftovers,
        ):
            with pytest.raises(StoreUnusable, match=r"from the store .* \(Permission denied\).*make it readable"):
                ask()
    assert store.write("training", KEY, entry, ingredients=INGREDIENTS, seconds=0.0) is None


@pytest.mark.parametrize("place", ["modules", "modules/ab", "failures"])
def test_a_file_where_a_folder_is_wanted_is_an_error_before_any_work(place: str, store: Store) -> None:
    (store.root / place).parent.mkdir(exist_ok=True)
    (store.root / place).write_text("")
    with pytest.raises(StoreUnusable, match=rf"{place}: Not a directory\).*move away the file"):
        store.check_writable(("training", "modules", "agreement", "failures"))


def test_a_home_that_is_not_known_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODULARITY_STORE", "~nobody-of-this-name/results")
    with pytest.raises(StoreUnusable, match="write the whole path"):
        default_store_folder()


def test_signs_of_life_that_are_none_are_passed_over(store: Store) -> None:
    folder = store.root / "running" / "smoke"
    folder.mkdir(parents=True)
    for name, content in {
        f"{socket.gethostname()}~x.json": '{"at": 1e12}',
        "host~1.json": "[]",
        "host~2.json": "{}",
        "host~3.json": "",
    }.items():
        (folder / name).write_text(content)
    assert running(store, "smoke") == []
