"""The data sets of the store as the pages show them."""

import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from app import datasets, overview, storage, workshop
from tests.conftest import ROOT
from transfer import store
from transfer.config import RunConfig
from transfer.dataset import library, versions
from transfer.dataset.mending import Change
from transfer.errors import DataError
from transfer.runs import Run


def _pictures(path: Path, **classes: int) -> Path:
    """Write a zip with so many pictures of each class, no two alike."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, count) in enumerate(classes.items()):
            for i in range(count):
                data = io.BytesIO()
                Image.new("RGB", (40, 30), (number * 60, i * 20, 90)).save(data, "PNG")
                archive.writestr(f"{name}/{i}.png", data.getvalue())
    return path


def test_nothing_is_listed_in_a_new_store_and_looking_creates_nothing():
    assert datasets.listed() == []
    assert storage.runs_using("d") == []
    assert list(store.home().iterdir()) == []


def test_a_data_set_is_listed_with_what_a_person_knows_it_by(fruit):
    (entry,) = datasets.listed()
    assert (entry.digest, entry.name, entry.pictures, entry.classes) == (fruit, "Fruit", 72, 3)
    assert datasets.name(fruit) == "Fruit"
    assert datasets.size(fruit) == sum(
        path.stat().st_size
        for path in (store.home() / "datasets" / fruit).rglob("*")
        if path.is_file()
    )


def test_the_newest_comes_first(fruit, tmp_path):
    other = library.import_dataset(_pictures(tmp_path / "two.zip", a=4, b=4)).digest
    datasets.describe(other, "Later")
    assert [entry.name for entry in datasets.listed()] == ["Later", "Fruit"]


def test_an_earlier_name_stays_when_the_same_pictures_come_again(fruit):
    datasets.describe(fruit, "Another")
    assert datasets.name(fruit) == "Fruit"


def test_renaming(fruit):
    datasets.rename(fruit, "  Green \n and  yellow ")
    assert datasets.name(fruit) == "Green and yellow"
    datasets.rename(fruit, "猫" * 100)
    assert datasets.name(fruit) == "猫" * 80
    with pytest.raises(DataError, match="needs a name"):
        datasets.rename(fruit, " \t ")
    assert datasets.name(fruit) == "猫" * 80
    (entry,) = datasets.listed()
    assert entry.pictures == 72


def test_pictures_come_class_by_class(fruit):
    groups = datasets.by_class(fruit)
    assert {name: len(pictures) for name, pictures in groups.items()} == {
        "apple": 24, "lemon": 24, "lime": 24,
    }  # fmt: skip
    assert all(p.label == name for name, pictures in groups.items() for p in pictures)
    assert datasets.by_class(fruit) is groups


def test_small_classes_are_shown_but_set_aside_for_training(tmp_path):
    source = _pictures(tmp_path / "p.zip", many=5, more=4, few=2)
    digest = library.import_dataset(source).digest
    assert datasets.index(digest).counts() == {"few": 2, "many": 5, "more": 4}
    assert datasets.usable(digest).counts() == {"many": 5, "more": 4}
    (warning,) = datasets.warnings(digest)
    assert "'few' has 2 pictures" in warning
    assert "add at least 2 more" in warning


def test_warnings_are_there_even_if_no_class_is_large_enough(tmp_path):
    source = _pictures(tmp_path / "p.zip", one=1, two=2)
    digest = library.import_dataset(source, minimum_per_class=1).digest
    with pytest.raises(DataError):
        datasets.usable(digest)
    assert datasets.warnings(digest) == datasets.index(digest).warnings


@pytest.mark.parametrize("digest", ["nonsense", "0" * 32, "../runs", "", "a/b", "."])
def test_what_is_not_there_is_told_as_such(fruit, digest):
    for ask in (datasets.index, datasets.usable, datasets.by_class, datasets.warnings):
        with pytest.raises(DataError, match="no longer in the store"):
            ask(digest)
    assert datasets.name(digest) == "a data set that was deleted"
    assert datasets.size(digest) == 0
    with pytest.raises(DataError, match="no such picture"):
        datasets.thumbnail(digest, "0" * 64, 192)


def test_what_is_kept_in_memory_goes_when_the_data_set_goes(fruit):
    datasets.index(fruit)
    datasets.thumbnail(fruit, datasets.index(fruit).pictures[0].sha256, 96)
    datasets.delete(fruit)
    with pytest.raises(DataError):
        datasets.index(fruit)
    assert datasets.listed() == []
    assert not any((store.home() / "thumbnails").iterdir())
    datasets.delete(fruit)


def test_two_stores_do_not_mix(fruit, tmp_path, monkeypatch):
    datasets.index(fruit)
    monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "other"))
    with pytest.raises(DataError):
        datasets.index(fruit)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": "x"}', '{"pictures": 3}'])
def test_one_damaged_data_set_does_not_hide_the_others(fruit, content):
    broken = store.home() / "datasets" / ("0" * 32)
    broken.mkdir()
    (broken / "index.json").write_text(content)
    assert [entry.name for entry in datasets.listed()] == ["Fruit"]
    with pytest.raises(DataError, match="damaged"):
        datasets.index(broken.name)


def test_the_runs_that_learned_from_it_are_named(fruit):
    for number, name in enumerate(("Second", "First", "Other", "Half deleted")):
        folder = f".deleted-{number}" if name == "Half deleted" else f"r{number}"
        run = Run(store.home() / "runs" / folder)
        digest = "0" * 32 if name == "Other" else fruit
        run.start(RunConfig(dataset=digest, backbone="builtin", image_size=96))
        run.write("about", {"name": name})
    damaged = store.home() / "runs" / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    assert storage.runs_using(fruit) == ["First", "Second"]


def test_the_sample_is_taken_in_once_and_again_after_it_was_deleted(sample_folder):
    shutil.copytree(sample_folder, store.home() / "sample" / "fruit")
    digest = datasets.sample_digest()
    assert [entry.name for entry in datasets.listed()] == ["Sample: drawn fruit"]
    datasets.rename(digest, "Mine")
    assert datasets.sample_digest() == digest
    assert datasets.name(digest) == "Mine"
    datasets.delete(digest)
    assert datasets.sample_digest() == digest
    assert datasets.name(digest) == "Sample: drawn fruit"


@pytest.mark.parametrize("side", datasets.THUMBNAIL_SIDES)
def test_thumbnails_are_square_and_made_once(fruit, side):
    picture = datasets.index(fruit).pictures[0]
    path = datasets.thumbnail(fruit, picture.sha256, side)
    with Image.open(path) as made:
        assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (side, side))
    before = path.stat().st_mtime_ns
    assert datasets.thumbnail(fruit, picture.sha256, side) == path
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("sha256", "side"), [("0" * 64, 192), ("../index", 192), ("", 192), (None, 1), (None, 10_000)]
)
def test_no_thumbnail_of_what_is_not_there_nor_of_any_size(fruit, sha256, side):
    sha256 = datasets.index(fruit).pictures[0].sha256 if sha256 is None else sha256
    with pytest.raises(DataError, match="no such picture"):
        datasets.thumbnail(fruit, sha256, side)
    assert not (store.home() / "thumbnails").exists()


def test_nothing_here_imports_tensorflow():
    code = (
        "import sys; from app import datasets, gallery, networks, workshop, charts, words;"
        "print(sorted({'tensorflow', 'keras', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


class TestVersions:
    @pytest.fixture
    def second(self, fruit) -> str:
        name = datasets.index(fruit).pictures[0].name
        versions.change(fruit, Change("delete", (name,)))
        return versions.keep(fruit)

    def test_one_entry_a_series_that_of_the_newest(self, fruit, second, tmp_path):
        other = library.import_dataset(_pictures(tmp_path / "two.zip", a=4, b=4)).digest
        datasets.describe(other, "Later")
        later, newest = datasets.listed()
        assert (later.name, later.number, later.versions) == ("Later", 1, 1)
        assert (newest.digest, newest.name, newest.pictures) == (second, "Fruit, version 2", 71)
        assert (newest.number, newest.versions) == (2, 2)
        assert {entry.name for entry in datasets.every()} == {
            "Later", "Fruit, version 1", "Fruit, version 2",
        }  # fmt: skip

    def test_each_is_named_by_its_number_where_there_are_several(self, fruit, second):
        assert datasets.name(fruit) == "Fruit, version 1"
        assert datasets.name(second) == "Fruit, version 2"
        assert datasets.title(fruit) == datasets.title(second) == "Fruit"
        assert [one.digest for one in datasets.versions(fruit)] == [fruit, second]
        datasets.delete(second)
        assert datasets.name(fruit) == "Fruit"
        assert datasets.name(second) == "a data set that was deleted"

    def test_a_later_one_keeps_its_number_when_the_first_goes(self, fruit, second):
        datasets.delete(fruit)
        assert datasets.name(second) == "Fruit, version 2"
        assert [entry.versions for entry in datasets.listed()] == [1]

    def test_renaming_renames_all(self, fruit, second):
        datasets.rename(second, "Harvest")
        assert datasets.name(fruit) == "Harvest, version 1"
        assert datasets.name(second) == "Harvest, version 2"

    def test_a_first_one_that_comes_again_is_called_as_the_others(
        self, fruit, second, sample_folder
    ):
        datasets.rename(fruit, "Harvest")
        datasets.delete(fruit)
        assert library.import_dataset(sample_folder).digest == fruit
        datasets.describe(fruit, "fruit.zip")
        assert datasets.name(fruit) == "Harvest, version 1"

    def test_the_draft_is_seen_at_once_and_only_asked_for(self, fruit):
        name = datasets.index(fruit).pictures[0].name
        assert datasets.drafted(fruit) == datasets.index(fruit)
        versions.change(fruit, Change("relabel", (name,), to="lime"))
        assert datasets.drafted(fruit).counts() == {"apple": 23, "lemon": 24, "lime": 25}
        assert datasets.drafted(fruit) is datasets.drafted(fruit)
        assert datasets.index(fruit).counts() == {"apple": 24, "lemon": 24, "lime": 24}
        assert datasets.warnings(fruit) == ()
        versions.undo(fruit)
        assert datasets.drafted(fruit) == datasets.index(fruit)

    def test_what_is_shared_is_not_counted_as_that_of_one(self, fruit, second):
        alone = datasets.index(fruit).path(datasets.index(fruit).pictures[0]).stat().st_size
        texts = sum(p.stat().st_size for p in (_folder(fruit)).iterdir() if p.is_file())
        assert datasets.size(fruit) == alone + texts
        shared = storage.size(_folder(second) / "images")
        before = datasets.size(second)
        datasets.delete(fruit)
        assert datasets.size(second) == before + shared

    def test_thumbnails_are_shared_too(self, fruit, second):
        sha256 = datasets.index(second).pictures[0].sha256
        made = datasets.thumbnail(fruit, sha256, 96)
        linked = datasets.thumbnail(second, sha256, 96)
        assert linked != made
        assert linked.samefile(made)
        datasets.delete(fruit)
        with Image.open(datasets.thumbnail(second, sha256, 96)) as found:
            assert found.size == (96, 96)

    def test_a_run_is_named_with_its_version(self, fruit, second):
        for digest in (fruit, second):
            config = RunConfig(digest, "builtin", 96, strategy="linear_top")
            workshop.start(config, f"of {datasets.name(digest)}")
        lines = [overview.line(run) for run in workshop.listed()]
        assert [line.data_set for line in lines] == ["Fruit, version 2", "Fruit, version 1"]
        assert storage.runs_using(fruit) == ["of Fruit, version 1"]


def _folder(digest: str) -> Path:
    return store.home() / "datasets" / digest
