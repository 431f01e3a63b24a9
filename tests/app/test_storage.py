"""How much disk is used, and that what is freed is exactly what nothing refers to."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from app import bundles, datasets, jobs, packing, processes, storage, uploads, workshop
from app.dispatcher import Dispatcher
from tests.app.conftest import running
from transfer import store
from transfer.config import RunConfig
from transfer.dataset import versions
from transfer.dataset.mending import Change
from transfer.errors import DataError, RunError
from transfer.feature_store import FeatureStore

DAY = 24 * 3600.0


def put(path: Path, size: int = 1000, age: float = 0.0) -> Path:
    """A file of so many bytes, last changed so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    aged(path, age)
    return path


def aged(path: Path, age: float) -> None:
    then = time.time() - age
    for one in (*path.rglob("*"), path):
        os.utime(one, (then, then))


def files(home: Path) -> set[str]:
    """All files of the store but the queue itself."""
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    return {name for name in found if "queue" not in name}


def named(home: Path, *paths: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in paths}


def freed(home: Path) -> set[str]:
    """What `free` removes; that it says what it frees, and frees what it says, is checked."""
    before = files(home)
    size = storage.size(home)
    said = sum(rest.bytes for rest in storage.unused())
    count = storage.free()
    after = files(home)
    assert after <= before
    assert count == said
    assert storage.size(home) == size - count
    assert storage.unused() == ()
    return before - after


class TestUsed:
    def test_every_byte_is_of_some_kind(self, finished):
        bundles.packed("run", finished.run_id)
        bundles.packed("model", finished.run_id)
        put(finished.home / "sample" / "a.jpg", 111)
        put(finished.home / "thumbnails" / finished.digest / "a.jpg", 222)
        put(finished.home / "logs" / "web.log", 333)
        used = storage.used()
        assert set(used) == set(storage.KINDS)
        assert sum(used.values()) == storage.size(finished.home)
        assert list(used.values()) == sorted(used.values(), reverse=True)
        run = workshop.run(finished.run_id).folder
        model = packing.model_file(finished.run_id).stat().st_size
        assert used["runs"] == storage.size(run) - model
        assert used["bundles"] == packing.run_file(finished.run_id).stat().st_size + model
        assert used["datasets"] == datasets.size(finished.digest) + 111
        assert used["thumbnails"] == 222
        assert used["logs"] >= 333

    def test_an_empty_store(self, home):
        assert set(storage.used().values()) == {0}
        shutil.rmtree(home)
        assert set(storage.used().values()) == {0}
        assert storage.unused() == ()
        assert storage.free() == 0

    def test_a_link_counts_for_itself(self, home, tmp_path):
        put(tmp_path / "elsewhere" / "large", 10**6)
        (home / "runs").mkdir()
        (home / "runs" / "link").symlink_to(tmp_path / "elsewhere")
        assert storage.used()["runs"] < 1000
        assert storage.size(home) < 1000


class TestFree:
    def test_nothing_of_a_finished_run(self, finished):
        """Neither the run, nor its data set with thumbnails, nor its log, nor its calculations."""
        picture = datasets.index(finished.digest).pictures[0]
        datasets.thumbnail(finished.digest, picture.sha256, 96)
        assert freed(finished.home) == set()
        assert storage.used()["features"] > 0

    def test_files_for_taking_away(self, finished):
        bundles.packed("run", finished.run_id)
        bundles.packed("model", finished.run_id)
        assert freed(finished.home) == {
            f"bundles/{finished.run_id}.transfer-run.zip",
            f"runs/{finished.run_id}/savedmodel.zip",
        }
        assert bundles.packed("run", finished.run_id).is_file()

    def test_thumbnails_of_deleted_data_sets(self, fruit, home):
        picture = datasets.index(fruit).pictures[0]
        kept = datasets.thumbnail(fruit, picture.sha256, 96)
        put(home / "thumbnails" / ("a" * 32) / "x-96.jpg")
        assert freed(home) == {f"thumbnails/{'a' * 32}/x-96.jpg"}
        assert kept.is_file()

    def test_calculations_for_pictures_that_are_gone(self, fruit, home):
        ours = [one.sha256 for one in datasets.index(fruit).pictures]
        gone = [f"{i:064x}" for i in range(4)]
        folder = home / "features" / "builtin-96"
        kept = {"mixed": [*ours, gone[0]], "gone": gone[:2], "ours": ours[:1], "now": gone[2:]}
        names = {}
        for name, contents in kept.items():
            before = files(home)
            FeatureStore(folder, 8).append(contents, np.ones((len(contents), 8)))
            names[name] = files(home) - before
        torn = put(folder / "torn-8.ids", 0), put(folder / "torn-8.rows")
        begun = put(folder / "begun-8.ids", 0), put(folder / "begun-8.rows")
        alone = put(folder / "alone-8.rows")
        aged(folder, DAY + 60)
        (half,) = (home / name for name in names["now"] if name.endswith(".ids"))
        for path in (half, begun[1]):  # a process is writing here
            aged(path, DAY - 600)
        assert freed(home) == names["gone"] | named(home, *torn, alone)
        assert FeatureStore(folder, 8).missing([*ours, *gone]) == [len(ours) + 1]

        datasets.delete(fruit)
        aged(home, DAY - 600)
        assert not {name for name in freed(home) if "features" in name}
        aged(folder, DAY + 60)
        rest = names["mixed"] | names["ours"] | names["now"] | named(home, *begun)
        assert freed(home) == rest

    def test_calculations_of_earlier_versions(self, fruit, home):
        old = put(home / "features" / "builtin-96" / "0123.npy")
        now = put(home / "features" / "builtin-96" / ".4567.npy.12.partial.npy")
        assert freed(home) == named(home, old)
        assert now.exists()

    def test_uploads_that_were_given_up(self, home):
        old, fresh, waiting = (uploads.begin(f"{i}.zip", 1000) for i in range(3))
        for one in (old, fresh, waiting):
            put(one.data)
        uploads.finish(waiting.id)
        aged(old.folder, DAY + 60)
        aged(waiting.folder, 5 * DAY)
        aged(fresh.folder, DAY - 600)
        assert freed(home) == {f"uploads/{old.id}/{name}" for name in ("data", "upload.json")}
        assert [job.target for job in jobs.active()] == [waiting.id]

    @pytest.mark.parametrize(
        "name",
        ["bundles/.packing-1a2b", "bundles/.incoming-x/files/000001", "datasets/.import-y/set/a",
         "runs/{run}/.export-z/model/saved_model.pb", "runs/{run}/.model.partial.keras",
         "runs/{run}/.packing-3c", "runs/{run}/.about.json.77.partial.json",
         "features/net/.abc.npy.12.partial.npy", "thumbnails/{digest}/.a-96.jpg.5.partial.jpg",
         "datasets/{digest}/.about.json.3.partial.json", "datasets/0123abcd/images/a.png",
         "sample/.digest.9.partial"],
    )  # fmt: skip
    def test_what_was_broken_off_a_day_ago(self, finished, name):
        name = name.format(run=finished.run_id, digest=finished.digest)
        path = put(finished.home / name)
        top = finished.home / Path(*Path(name).parts[:2])
        in_place = finished.run_id in name or finished.digest in name or "sample" in name
        assert freed(finished.home) == set()  # somebody may still be at it
        aged(path if in_place or "features" in name else top, DAY + 60)
        hidden = next((p for p in (*path.parents, path) if p.name.startswith(".")), path)
        aged(hidden, DAY + 60)
        assert freed(finished.home) == {name}

    def test_one_fresh_file_says_that_somebody_is_at_it(self, home):
        put(home / "datasets" / ".import-x" / "set" / "a")
        put(home / "datasets" / ".import-x" / "set" / "b")
        aged(home / "datasets" / ".import-x", 3 * DAY)
        put(home / "datasets" / ".import-x" / "set" / "b")
        assert freed(home) == set()

    def test_runs_whose_deletion_was_broken_off(self, finished):
        (finished.home / "runs" / finished.run_id).rename(finished.home / "runs" / ".deleted-x")
        assert workshop.listed() == []
        gone = freed(finished.home)
        assert {name.split("/")[1] for name in gone if name.startswith("runs")} == {".deleted-x"}
        assert "runs/.deleted-x/model.keras" in gone
        assert {name.split("/")[0] for name in gone} == {"runs", "jobs"}  # and its logs
        assert len(datasets.listed()) == 1

    def test_logs_of_runs_that_are_gone(self, queued, home):
        other = workshop.start(queued.config(), "Other")
        first = running(queued)
        again = running(other)
        jobs.settle(again, "failed", "an error")
        for job in (first, again):
            for suffix in ("out", "log", "lock"):
                put(jobs.file(job, suffix))
        put(home / "jobs" / "999.log")
        put(home / "jobs" / "notes.txt")
        assert freed(home) == {"jobs/999.log"}
        workshop.go_on(other)  # a new job: the log of the old one is of no use any more
        assert freed(home) == {f"jobs/{again.id}.{suffix}" for suffix in ("out", "log", "lock")}
        put(jobs.file(again, "log"))
        shutil.rmtree(other.folder)
        shutil.rmtree(queued.folder)  # its job still runs
        assert freed(home) == {f"jobs/{again.id}.log"}
        jobs.settle(first, "done")
        assert len(freed(home)) == 3

    def test_what_lies_in_something_that_goes_is_counted_once(self, home):
        put(home / "thumbnails" / ("a" * 32) / ".a-96.jpg.5.partial.jpg", 700)
        aged(home / "thumbnails", 2 * DAY)
        (rest,) = storage.unused()
        assert rest.bytes == 700
        assert len(freed(home)) == 1

    def test_what_the_app_does_not_know_stays(self, home):
        for name in ("secret.key", "predictor.json", "own/notes.txt", "runs/demo-savedmodel/a.pb",
                     "bundles/own.zip", "uploads/readme", "jobs/web.alive",
                     "thumbnails/x.jpg"):  # fmt: skip
            put(home / name, age=9 * DAY)
        assert freed(home) == set()


class TestDeleteRun:
    def test_it_really_goes(self, finished):
        bundles.packed("run", finished.run_id)
        run = workshop.run(finished.run_id)
        before, said = storage.size(finished.home), storage.run_size(finished.run_id)
        data_set = storage.used()["datasets"]
        assert storage.delete_run(run) == said
        assert said <= before - storage.size(finished.home) < said + 100_000  # its logs, too
        assert storage.used()["runs"] == storage.used()["bundles"] == 0
        assert storage.used()["datasets"] == data_set
        assert not [name for name in files(finished.home) if finished.run_id in name]
        assert jobs.latest("train", finished.run_id) is None

    def test_its_parts_are_all_of_it(self, finished):
        run = workshop.run(finished.run_id)
        before = storage.run_parts(run)
        assert sum(before.values()) == storage.run_size(finished.run_id)
        assert before["its model"] == run.model_path.stat().st_size
        bundles.packed("model", finished.run_id)
        bundles.packed("run", finished.run_id)
        after = storage.run_parts(run)
        made = packing.model_file(finished.run_id), packing.run_file(finished.run_id)
        assert after.pop("files made for downloading") == sum(path.stat().st_size for path in made)
        assert after == before

    def test_a_waiting_run_leaves_the_queue(self, queued):
        storage.delete_run(queued)
        assert jobs.active() == []
        assert not queued.folder.exists()

    def test_a_running_run_is_stopped_first(self, queued):
        dispatcher = Dispatcher({"train": lambda _: ["sleep", "600"]}, gpus=[])
        dispatcher.step()
        job = jobs.latest("train", queued.folder.name)
        assert job is not None
        lock = jobs.file(job, "lock")
        assert processes.held(lock)
        storage.delete_run(queued)
        assert not processes.held(lock)
        assert not queued.folder.exists()
        assert not dispatcher.step()

    def test_a_run_at_which_another_process_works_stays(self, finished):
        run = workshop.run(finished.run_id)
        with run.locked(), pytest.raises(RunError, match="still at work"):
            storage.delete_run(run)
        assert run.finished

    def test_twice(self, queued):
        storage.delete_run(queued)
        with pytest.raises(RunError, match="gone already"):
            storage.delete_run(queued)
        assert not queued.folder.exists()

    def test_after_a_deletion_of_the_same_id_was_broken_off(self, queued):
        put(queued.folder.with_name(f".deleted-{queued.folder.name}") / "config.json")
        storage.delete_run(queued)
        assert list((store.home() / "runs").iterdir()) == []


class TestDataSets:
    def test_one_that_a_run_needs_is_not_deleted(self, finished):
        assert storage.unused_data_sets() == []
        with pytest.raises(DataError, match=r"'Fruit' was not deleted: 'First' learned from"):
            storage.delete_data_set(finished.digest)
        assert len(datasets.index(finished.digest).pictures) == 72

    def test_nor_one_that_several_need(self, queued):
        workshop.start(queued.config(), "Second")
        with pytest.raises(
            DataError, match=r"'Fruit, first try' and 'Second' learned .* need them"
        ):
            storage.delete_data_set(queued.config().dataset)

    def test_nor_one_of_a_run_that_a_newer_app_made(self, queued):
        settings = queued.read("config")
        queued.write("config", {**settings, "unheard_of": 1})
        with pytest.raises(DataError, match="'Fruit, first try' learned"):
            storage.delete_data_set(settings["dataset"])

    def test_one_that_no_run_needs(self, fruit, home):
        picture = datasets.index(fruit).pictures[0]
        datasets.thumbnail(fruit, picture.sha256, 96)
        (one,) = storage.unused_data_sets()
        assert (one.data_set.digest, one.data_set.name) == (fruit, "Fruit")
        assert one.bytes == storage.used()["datasets"] + storage.used()["thumbnails"]
        assert storage.delete_data_set(fruit) == one.bytes
        assert datasets.listed() == []
        assert storage.used()["datasets"] == storage.used()["thumbnails"] == 0

    def test_once_its_run_is_deleted(self, queued):
        digest = queued.config().dataset
        storage.delete_run(queued)
        assert [one.data_set.digest for one in storage.unused_data_sets()] == [digest]
        storage.delete_data_set(digest)
        assert datasets.listed() == []

    def test_a_run_that_is_being_deleted_needs_nothing(self, queued):
        queued.folder.rename(queued.folder.with_name(".deleted-x"))
        assert len(storage.unused_data_sets()) == 1

    def test_the_sample_is_not_offered(self, fruit, home):
        (home / "sample").mkdir()
        (home / "sample" / "digest").write_text(fruit)
        assert storage.unused_data_sets() == []

    def test_one_that_is_gone(self, home):
        with pytest.raises(DataError, match="no longer in the store"):
            storage.delete_data_set("a" * 32)

    @pytest.mark.parametrize("digest", ["..", "", ".", "../runs"])
    def test_an_address_that_leads_elsewhere(self, queued, digest):
        with pytest.raises(DataError):
            storage.delete_data_set(digest)
        assert queued.exists


class TestVersions:
    """Versions share their pictures: nothing is counted twice, nor freed that another one has."""

    @pytest.fixture
    def second(self, fruit) -> str:
        names = [one.name for one in datasets.index(fruit).pictures[:5]]
        versions.change(fruit, Change("delete", tuple(names)))
        return versions.keep(fruit)

    def test_what_is_used_counts_each_picture_once(self, fruit, home):
        before = storage.used()["datasets"]
        names = [one.name for one in datasets.index(fruit).pictures[:5]]
        versions.change(fruit, Change("delete", tuple(names)))
        new = home / "datasets" / versions.keep(fruit)
        texts = sum(path.stat().st_size for path in new.iterdir() if path.is_file())
        assert storage.used()["datasets"] == before + texts
        assert storage.size(home / "datasets") == before + texts

    @pytest.mark.parametrize("first", [True, False])
    def test_deleting_one_frees_what_it_says_and_hurts_no_other(self, fruit, second, home, first):
        gone, stays = (fruit, second) if first else (second, fruit)
        for digest in (gone, stays):
            datasets.thumbnail(digest, datasets.index(second).pictures[0].sha256, 96)
        before = storage.size(home)
        said = storage.data_set_size(gone)
        assert storage.delete_data_set(gone) == said == before - storage.size(home)
        assert said < storage.data_set_size(stays)
        index = datasets.index(stays)
        assert all(index.path(picture).is_file() for picture in index.pictures)
        assert storage.unused() == ()

    def test_all_of_them_at_once(self, fruit, second, home):
        datasets.thumbnail(fruit, datasets.index(second).pictures[0].sha256, 96)
        before = storage.size(home)
        said = storage.series_size(fruit)
        assert said > storage.data_set_size(fruit) + storage.data_set_size(second)
        assert storage.delete_series(second) == said == before - storage.size(home)
        assert datasets.listed() == []

    def test_but_not_while_a_run_needs_one(self, fruit, second):
        workshop.start(RunConfig(fruit, "builtin", 96, strategy="linear_top"), "First")
        assert [one.data_set.name for one in storage.unused_data_sets()] == ["Fruit, version 2"]
        assert (storage.runs_using(fruit), storage.runs_using(second)) == (["First"], [])
        with pytest.raises(DataError, match="'Fruit' was not deleted: 'First' learned"):
            storage.delete_series(second)
        with pytest.raises(DataError, match="'Fruit, version 1' was not deleted"):
            storage.delete_data_set(fruit)
        storage.delete_data_set(second)
        assert [entry.digest for entry in datasets.listed()] == [fruit]

    def test_calculations_of_an_older_version_stay(self, fruit, second, home):
        left = {picture.sha256 for picture in datasets.index(second).pictures}
        only = next(p for p in datasets.index(fruit).pictures if p.sha256 not in left)
        folder = home / "features" / "builtin-96"
        FeatureStore(folder, 8).append([only.sha256], np.ones((1, 8)))
        aged(folder, DAY + 60)
        assert freed(home) == set()

    def test_what_a_broken_off_keeping_left_frees_only_its_own(self, fruit, home):
        made = home / "datasets" / ".import-x" / "set"
        (made / "images").mkdir(parents=True)
        for path in (home / "datasets" / fruit / "images").iterdir():
            os.link(path, made / "images" / path.name)
        put(made / "version.json", 300)
        for folder in (made, made / "images", made.parent):
            os.utime(folder, (1, 1))
        for path in made.rglob("*"):
            os.utime(path, (1, 1))
        (rest,) = storage.unused()
        assert rest.bytes == 300
        assert all(name.startswith("datasets/.import-x") for name in freed(home))


def test_freeing_while_a_training_waits_and_an_upload_comes_in(queued, home):
    """All that is on its way goes on: the run, its data set, the upload, the queue."""
    upload = uploads.begin("more.zip", 5000)
    put(upload.data, 2500)
    put(home / "bundles" / ".incoming-now" / "files" / "000000")
    put(home / "runs" / queued.folder.name / "checkpoint" / ".state.7.partial")
    assert freed(home) == set()
    assert workshop.standing(queued).word == "waiting"
    assert RunConfig.from_json(queued.read("config")) == queued.config()
