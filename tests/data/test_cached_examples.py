from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from uml_tf.cli.data import data
from uml_tf.data import cached_examples
from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.cached_examples import open_splits
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import epoch_order, load_examples, training_batches
from uml_tf.data.pixel_store import Pixels, PixelStore, clear_stores, list_stores
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.placement import Box

SIZE = (48, 48)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("UML_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def on_demand(monkeypatch):
    monkeypatch.setattr(cached_examples, "AHEAD", 0)


def _quiet(name, total):
    return lambda done: None


def _open(dataset, *splits, **options):
    return open_splits(dataset, splits, SIZE, _quiet, **options)


def _decoded(monkeypatch):
    """The images that are decoded from now on."""
    names = []
    decode = cached_examples.decode_row
    monkeypatch.setattr(
        cached_examples,
        "decode_row",
        lambda dataset, row, *rest: names.append(row.image) or decode(dataset, row, *rest),
    )
    return names


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_arrays_are_those_of_the_pipeline_in_memory(oblong, root, on_demand, fit):
    boxes = {oblong.split("val")[1].image: Box(3, 5, 40, 31)}
    expected = load_examples(oblong, "val", SIZE, fit=fit, boxes=boxes)
    for examples in (_open(oblong, "val", fit=fit, boxes=boxes)["val"] for _ in ("filled", "found")):
        order = np.random.default_rng(0).permutation(len(expected))
        np.testing.assert_array_equal(examples.images[order], expected.images[order])
        np.testing.assert_array_equal(examples.masks[:], expected.masks)
        np.testing.assert_array_equal(examples.images[3], expected.images[3])
        assert tuple(examples.placements) == expected.placements
        assert examples.located == expected.located
        assert np.flatnonzero(examples.found).tolist() == [1], "the one image with a box"
    assert [store.filled for store in list_stores(root)[0]] == [len(expected)]


def test_batches_are_byte_for_byte_those_of_memory(phantoms, root, on_demand):
    held, cached = load_examples(phantoms, "train", SIZE), _open(phantoms, "train")["train"]
    assert np.concatenate([held.found, cached.found]).all(), "no locator looked"
    order = epoch_order(held, 8, 0, 0, None)
    spec = AugmentationSpec(rotation=20, noise=0.1)
    streams = [training_batches(examples, order, 8, Augmentation(spec, 3)) for examples in (held, cached)]
    for expected, found in zip(*streams, strict=True):
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)


def test_each_image_is_decoded_once_for_all_splits_folds_and_runs(phantoms, root, monkeypatch):
    names = _decoded(monkeypatch)
    _open(phantoms, "train", "val")
    assert len(names) == len(set(names)) == len(phantoms.split("train")) + len(phantoms.split("val"))
    other = {"train": "val", "val": "train", "test": "test"}
    fold = replace(phantoms, rows=tuple(replace(row, split=other[row.split]) for row in phantoms.rows[::-1]))
    count = len(names)
    swapped = _open(fold, "train", "val")
    assert len(names) == count
    again = load_examples(fold, "train", SIZE)
    np.testing.assert_array_equal(swapped["train"].images[:], again.images)


def test_a_worker_that_is_not_the_chief_decodes_what_it_reads(phantoms, root, monkeypatch):
    names = _decoded(monkeypatch)
    examples = _open(phantoms, "val", ahead=False)["val"]
    assert names == []
    examples.images[:2]
    assert sorted(names) == sorted(row.image for row in phantoms.split("val")[:2])


def test_a_lost_or_damaged_entry_is_decoded_anew(phantoms, root, monkeypatch):
    expected = _open(phantoms, "val")["val"].images[:]
    ((store,), _) = list_stores(root)
    images = np.load(store.folder / "images.npy", mmap_mode="r+")
    checksums = np.load(store.folder / "checksums.npy", mmap_mode="r+")
    first, second = np.flatnonzero(checksums)[:2]
    images[first, 0, 0, 0] ^= 1
    checksums[second] = 0  # as after a stop before it was written
    del images, checksums
    names = _decoded(monkeypatch)
    np.testing.assert_array_equal(_open(phantoms, "val")["val"].images[:], expected)
    assert len(names) == 2


def test_a_changed_file_is_not_read_from_the_store(phantoms, root, tmp_path):
    copy = shutil.copytree(phantoms.root, tmp_path / "copy")
    before = _open(PreparedDataset.open(copy), "val")["val"].images[0]
    first, second = PreparedDataset.open(copy).split("val")[:2]
    shutil.copy(copy / second.image, copy / first.image)
    changed = PreparedDataset.open(copy)
    examples = _open(changed, "val")["val"]
    np.testing.assert_array_equal(examples.images[0], examples.images[1])
    assert (examples.images[0] != before).any()


def test_a_file_that_changes_while_it_is_read_is_refused_and_not_kept(phantoms, root, on_demand, tmp_path):
    other = shutil.copytree(phantoms.root, tmp_path / "other")
    dataset = PreparedDataset.open(other)
    one, another = (other / row.image for row in dataset.split("train")[:2])
    content = one.read_bytes()
    train = _open(dataset, "train")["train"]
    one.write_bytes(another.read_bytes())
    with pytest.raises(UmlError, match=f"^{one}: found another content than when the data set was opened"):
        train.images[0]
    one.write_bytes(content)
    expected = load_examples(phantoms, "train", SIZE)
    again = _open(PreparedDataset.open(other), "train")["train"]
    np.testing.assert_array_equal(again.images[:2], expected.images[:2])


def test_a_damaged_file_is_named_at_once_in_a_small_split_and_when_met_in_a_large_one(
    phantoms, root, tmp_path, monkeypatch
):
    copy = shutil.copytree(phantoms.root, tmp_path / "copy")
    dataset = PreparedDataset.open(copy)
    damaged = dataset.split("val")[2].image
    (copy / damaged).write_bytes(b"no image")
    with pytest.raises(UmlError, match=damaged):
        _open(dataset, "val")
    monkeypatch.setattr(cached_examples, "AHEAD", 0)
    examples = _open(dataset, "val")["val"]
    with pytest.raises(Exception, match=damaged):
        list(training_batches(examples, np.arange(4), 4, None))
    (failure,) = examples.failures
    assert damaged in str(failure)


def test_without_a_folder_that_can_be_written_images_are_held_in_memory(phantoms, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UML_TF_CACHE", str(tmp_path / "file" / "cache"))
    lines = []
    examples = _open(phantoms, "val", warn=lines.append)["val"]
    assert isinstance(examples.images, np.ndarray)
    (line,) = lines
    assert "UML_TF_CACHE" in line
    monkeypatch.setenv("UML_TF_CACHE", "off")
    assert isinstance(_open(phantoms, "val", warn=lines.append)["val"].images, np.ndarray)
    assert len(lines) == 1


def test_a_disk_that_gets_full_ends_nothing(phantoms, root, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PixelStore, "put", full)
    lines = []
    examples = _open(phantoms, "val", warn=lines.append)["val"]
    np.testing.assert_array_equal(examples.images[:], load_examples(phantoms, "val", SIZE).images)
    (line,) = lines
    assert "No space left on device" in line


@pytest.mark.parametrize("option", ["--list", "--clear"])
def test_a_file_in_place_of_the_cache_is_one_line(tmp_path, monkeypatch, option):
    file = tmp_path / "file"
    file.write_text("mine")
    monkeypatch.setenv("UML_TF_CACHE", str(file))
    done = CliRunner().invoke(data, ["cache", option])
    assert (done.exit_code, str(done.exception)) == (
        1,
        f"UML_TF_CACHE: {file}: found a file, expected a folder",
    )


def test_the_command_lists_and_clears_stores_and_nothing_else(phantoms, root):

    _open(phantoms, "val")
    (root / "mine").mkdir()
    (root / "mine" / "about.json").write_text('{"key": "mine"}')
    (root / "mine" / "images.npy").write_text("of the user")
    listed = CliRunner().invoke(data, ["cache", "--list"]).output
    count = len(phantoms.split("val"))
    assert f"{phantoms.info.name}, 48 x 48, stretch: {count} of {len(phantoms.rows)} images" in listed
    cleared = CliRunner().invoke(data, ["cache", "--clear"]).output
    assert f"{root / 'mine'}: not removed: cannot be read as decoded images" in cleared
    assert "removed" in cleared.splitlines()[-1]
    assert [path.name for path in root.iterdir()] == ["mine"]
    assert {path.name for path in (root / "mine").iterdir()} == {"about.json", "images.npy"}
    assert "0 data sets" in CliRunner().invoke(data, ["cache", "--list"]).output
    assert CliRunner().invoke(data, ["cache"]).exit_code == 2


def test_a_store_that_lost_an_array_is_made_anew_and_can_be_cleared(phantoms, root):
    for clear in (False, True):
        _open(phantoms, "val")
        (path,) = root.glob("*/masks.npy")
        path.unlink()
        if clear:
            _, others = clear_stores(root)
            assert not others
            assert not list(root.iterdir())
    lines = []
    _open(phantoms, "val", warn=lines.append)
    assert not lines


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda about: "{", "cannot be read as decoded images"),
        (lambda about: json.dumps({"key": about["key"]}), "of another version: 0 of 3 images"),
        (lambda about: json.dumps(about | {"size": 7}), "cannot be read as decoded images"),
        (lambda about: json.dumps(about | {"key": "another"}), "cannot be read as decoded images"),
    ],
)
def test_a_store_of_another_version_or_with_a_damaged_description_is_one_line(root, change, line):
    from click.testing import CliRunner

    about = {"dataset": "small", "size": (4, 5), "fit": "crop", "key": "0123456789abcdef0123"}
    PixelStore.open(root / "0123456789abcdef", 3, (4, 5), about).close()
    (root / "0123456789abcdef/about.json").write_text(change(about))
    listed = CliRunner().invoke(data, ["cache", "--list"])
    assert listed.exit_code == 0
    assert listed.output.splitlines()[0].startswith(f"0123456789abcdef  {line}")


@pytest.mark.parametrize("kept", [0, 60, 200])
def test_a_store_that_a_power_failure_cut_off_is_made_anew(tmp_path, kept):
    about = {"dataset": "small"}
    store = PixelStore.open(tmp_path / "store", 3, (4, 5), about)
    pixels = Pixels(np.full((4, 5, 3), 7, np.uint8), np.ones((4, 5), np.uint8), np.array([8, 9], np.int32))
    store.put(1, pixels)
    store.close()
    file = tmp_path / "store/images.npy"
    file.write_bytes(file.read_bytes()[:kept])
    again = PixelStore.open(tmp_path / "store", 3, (4, 5), about)
    assert not again.has(1)
    again.put(1, pixels)
    np.testing.assert_array_equal(again.image(1), pixels.image)
