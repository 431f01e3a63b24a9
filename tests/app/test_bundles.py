"""Runs taken away as one file and brought in elsewhere: whole, or not at all."""

import json
import random
import shutil
import stat
import time
import zipfile
from pathlib import Path

import pytest

from app import bundles, datasets, importing, packing, uploads, workshop
from app.dispatcher import Dispatcher
from app.packing import BundleError
from app.routes import uploads as upload_routes
from tests.app import run_files
from tests.app.conftest import Store, serving
from tests.app.run_files import contents, facts, kept, refused, resealed, rewritten
from tests.app.test_upload_routes import request
from transfer import store
from transfer.dataset import versions
from transfer.dataset.mending import Change

PICTURES = 72


@pytest.fixture(scope="session")
def bundle(learned: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the finished run; do not write into it."""
    return run_files.packed(learned, tmp_path_factory.mktemp("bundle"))


class TestTakingAway:
    def test_the_file_holds_the_run_with_its_pictures(self, finished, bundle):
        inside = contents(bundle)
        assert next(iter(inside)) == "transfer-run.txt"
        assert bundles.TRUST in inside["transfer-run.txt"].decode()
        assert sum(name.startswith("dataset/images/") for name in inside) == PICTURES
        assert {"run/config.json", "run/model.keras", "run/answers.npz"} <= set(inside)
        assert not any("savedmodel" in name for name in inside)
        said = facts(bundle)
        assert (said["format"], said["run"], said["dataset"]) == (
            3,
            finished.run_id,
            finished.digest,
        )
        assert set(said["files"]) == set(inside) - {"transfer-run.txt"}

    def test_its_size_is_told_before_it_is_made(self, finished, bundle):
        size = bundles.size(finished.run_id)
        assert 0 <= bundle.stat().st_size - size < 60_000
        assert not packing.folder().exists()

    def test_it_is_made_once_and_anew_when_the_run_has_changed(self, finished):
        first = bundles.packed("run", finished.run_id)
        made = first.stat()
        assert bundles.packed("run", finished.run_id).stat().st_ino == made.st_ino
        workshop.rename(workshop.run(finished.run_id), "Another name")
        again = bundles.packed("run", finished.run_id)
        assert again == first
        assert again.stat().st_ino != made.st_ino
        assert facts(again)["name"] == "Another name"
        assert [path.name for path in packing.folder().iterdir()] == [first.name]

    def test_the_model_alone(self, finished):
        with zipfile.ZipFile(bundles.packed("model", finished.run_id)) as archive:
            assert {"savedmodel/saved_model.pb", "savedmodel/example.py"} <= set(archive.namelist())

    @pytest.mark.parametrize("run_id", ["", "nothing", "..", "../runs", "a/b", "x" * 65])
    def test_no_run(self, finished, run_id):
        with pytest.raises(BundleError, match="no such run"):
            bundles.packed("run", run_id)

    def test_an_unfinished_run(self, queued):
        with pytest.raises(BundleError, match="not finished"):
            bundles.packed("run", queued.folder.name)

    def test_a_run_whose_pictures_were_deleted(self, finished):
        datasets.delete(finished.digest)
        with pytest.raises(BundleError, match="pictures of this run are no longer"):
            bundles.size(finished.run_id)
        assert bundles.packed("model", finished.run_id).is_file()

    def test_an_unknown_kind(self, finished):
        with pytest.raises(BundleError, match="nothing of the kind 'all'"):
            bundles.packed("all", finished.run_id)

    def test_a_full_disk(self, finished, monkeypatch):
        monkeypatch.setattr(uploads, "free_bytes", lambda: 100_000_000)
        with pytest.raises(BundleError, match="100 MB are free"):
            bundles.packed("run", finished.run_id)
        assert list(packing.folder().glob("*")) == []


class TestBringingIn:
    def test_it_answers_as_where_it_was_made(self, learned, bundle, home, sample_folder, command):
        pictures = sorted(sample_folder.rglob("*.jpg"))[::9]
        run_id = bundles.bring_in(bundle)
        assert run_id == learned.run_id
        here, there = home / "runs" / run_id, learned.home / "runs" / run_id
        _, answer, _ = command("predict", here, *pictures)
        _, expected, _ = command("predict", there, *pictures)
        assert answer["predictions"] == expected["predictions"]
        assert len(answer["predictions"]) == len(pictures) == 8

    def test_everything_is_there_and_the_model_is_checked_anew(self, learned, bundle, home):
        run = workshop.run(bundles.bring_in(bundle))
        assert run.about()["name"] == "First"
        assert abs(run.about()["brought_in"] - time.time()) < 60
        assert run.result()["run"] == str(run.folder)
        assert datasets.listed()[0].name == "Fruit"
        assert datasets.listed()[0].digest == learned.digest
        there = learned.home / "runs" / learned.run_id
        for name in ("config.json", "split.json", "answers.npz", "model.keras", "events.jsonl"):
            assert (run.folder / name).read_bytes() == (there / name).read_bytes()
        index = datasets.index(learned.digest)
        assert len(index.pictures) == PICTURES
        for picture in index.pictures:
            original = learned.home / "datasets" / learned.digest / picture.file
            assert index.path(picture).read_bytes() == original.read_bytes()
        assert list(packing.folder().iterdir()) == []
        assert workshop.standing(run).word == "exporting"
        assert run.read("export") is None
        dispatcher, deadline = Dispatcher(gpus=[]), time.monotonic() + 300
        while dispatcher.step():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        standing = workshop.standing(run)
        assert (standing.word, standing.error) == ("finished", None)
        assert bundles.packed("model", run.folder.name).is_file()

    def test_a_run_that_is_here_already_is_found(self, finished, bundle):
        workshop.rename(workshop.run(finished.run_id), "My own name for it")
        before = kept(store.home())
        assert bundles.bring_in(bundle) == finished.run_id
        assert kept(store.home()) == before
        assert workshop.run(finished.run_id).about()["name"] == "My own name for it"

    def test_deleted_pictures_come_back_with_it(self, finished, bundle):
        datasets.delete(finished.digest)
        assert bundles.bring_in(bundle) == finished.run_id
        assert len(datasets.index(finished.digest).pictures) == PICTURES

    def test_pictures_that_were_lost_come_back_with_it(self, finished, bundle):
        picture = datasets.index(finished.digest).pictures[0]
        datasets.index(finished.digest).path(picture).unlink()
        assert bundles.bring_in(bundle) == finished.run_id
        assert datasets.index(finished.digest).path(picture).is_file()

    def test_another_run_of_the_same_id_stays(self, finished, bundle):
        other = workshop.run(finished.run_id)
        (other.folder / "answers.npz").unlink()
        run_id = bundles.bring_in(bundle)
        assert run_id != finished.run_id
        assert workshop.run(run_id).finished
        assert other.answers("test") is None

    def test_an_id_that_leads_elsewhere_is_not_used(self, bundle, tmp_path, home):
        for number, bad in enumerate(("../../evil", "-x", "", "x" * 65)):
            run_id = bundles.bring_in(rewritten(bundle, tmp_path / f"{number}.zip", {}, run=bad))
            assert workshop.run(run_id).folder.parent == home / "runs"
            assert run_id != bad
            workshop.delete(workshop.run(run_id))
        assert not (home.parent / "evil").exists()

    def test_its_progress_is_told(self, bundle):
        told: list[tuple[int, int]] = []
        bundles.bring_in(bundle, lambda done, total: told.append((done, total)))
        assert told == [(done, PICTURES) for done in range(1, PICTURES + 1)]

    def test_when_it_cannot_be_put_in_its_place_nothing_stays(self, bundle, home):
        (home / "runs").write_text("a file in the way")
        with pytest.raises(BundleError, match="could not be written"):
            bundles.bring_in(bundle)
        assert kept(home) == ["runs"]

    def test_when_the_disk_is_full(self, bundle, monkeypatch):
        monkeypatch.setattr(uploads, "free_bytes", lambda: 1000)
        assert "1.0 kB are free" in refused(bundle)


class TestRefusal:
    def test_what_is_no_run(self, sample_zip, tmp_path):
        assert "not a run that was taken away" in refused(sample_zip)
        text = tmp_path / "run.txt"
        text.write_text("hello")
        assert "not a run that was taken away" in refused(text)
        text.write_bytes(b"")
        assert "not a run that was taken away" in refused(text)

    def test_a_run_of_a_newer_app(self, bundle, tmp_path):
        said = refused(rewritten(bundle, tmp_path / "new.zip", {}, format=4, files="another way"))
        assert "a newer version of the app (format 4; this one reads up to 3)" in said
        assert "update this app first" in said

    @pytest.mark.parametrize("value", [None, "1", True, [], -1.5])
    def test_a_format_that_is_none(self, bundle, tmp_path, value):
        assert "bundle.json" in refused(rewritten(bundle, tmp_path / "x.zip", {}, format=value))

    @pytest.mark.parametrize(
        "name", ["run/config.json", "run/model.keras", "run/answers.npz", "dataset/index.json"]
    )
    def test_a_changed_byte(self, bundle, tmp_path, name):
        data = bytearray(contents(bundle)[name])
        data[len(data) // 2] ^= 1
        changed = rewritten(bundle, tmp_path / "changed.zip", {name: bytes(data)})
        assert f"'{name}' is not what was packed" in refused(changed)

    def test_a_byte_that_changed_on_the_way(self, bundle, tmp_path):
        data = bytearray(bundle.read_bytes())
        model = contents(bundle)["run/model.keras"]
        data[data.index(model) + len(model) // 2] ^= 1
        broken = tmp_path / "broken.zip"
        broken.write_bytes(data)
        assert "'run/model.keras': its part of the archive is damaged" in refused(broken)

    @pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.9999])
    def test_a_truncated_file(self, bundle, tmp_path, share):
        data = bundle.read_bytes()
        cut = tmp_path / "cut.zip"
        cut.write_bytes(data[: int(share * len(data))])
        assert "Nothing of it was taken in" in refused(cut)

    @pytest.mark.parametrize(
        "name",
        ["run/evil.py", "run/savedmodel/saved_model.pb", "evil", "dataset/images/evil.png",
         f"dataset/images/{'a' * 64}.svg", f"dataset/images/{'a' * 64}.PNG", "run/status.json",
         "run/checkpoint/x", f"dataset/{'a' * 64}.png"],
    )  # fmt: skip
    def test_an_extra_file(self, bundle, tmp_path, name):
        extra = rewritten(bundle, tmp_path / "extra.zip", {name: b"x"})
        assert "does not belong in a run" in refused(extra)

    @pytest.mark.parametrize(
        "name", ["../evil", "run/../../../evil", "/tmp/evil", "C:\\evil", "..\\..\\evil",
                 "dataset/images/../../../evil", "run/config.json/../../../evil"],
    )  # fmt: skip
    def test_a_name_that_leads_outside(self, bundle, tmp_path, home, name):
        outside = rewritten(bundle, tmp_path / "outside.zip", {name: b"x"})
        assert "leads outside" in refused(outside)
        assert not list(home.parent.rglob("evil"))

    def test_a_link(self, bundle, tmp_path):
        link = tmp_path / "link.zip"
        shutil.copy(bundle, link)
        with zipfile.ZipFile(link, "a") as archive:
            entry = zipfile.ZipInfo("run/versions.json")
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(entry, "/etc/passwd")
        assert "it is a link" in refused(link)

    def test_a_second_file_of_a_name(self, bundle, tmp_path):
        twice = tmp_path / "twice.zip"
        shutil.copy(bundle, twice)
        with (
            zipfile.ZipFile(twice, "a") as archive,
            pytest.warns(UserWarning, match="Duplicate name"),
        ):
            archive.writestr("run/config.json", b"{}")
        assert "'run/config (2).json' does not belong" in refused(twice)

    def test_a_hidden_file(self, bundle, tmp_path):
        hidden = rewritten(bundle, tmp_path / "hidden.zip", {"run/.lock": b"x"})
        assert "hidden" in refused(hidden)

    @pytest.mark.parametrize(
        "name", ["run/config.json", "run/split.json", "run/result.json", "run/model.keras",
                 "run/answers.npz", "dataset/index.json"],
    )  # fmt: skip
    def test_a_missing_file(self, bundle, tmp_path, name):
        lacking = rewritten(bundle, tmp_path / "lacking.zip", {name: None})
        assert f"'{name}' is missing" in refused(lacking)

    def test_a_missing_picture(self, bundle, tmp_path):
        name = next(name for name in contents(bundle) if name.endswith(".png"))
        assert f"'{name}' is missing" in refused(
            rewritten(bundle, tmp_path / "lacking.zip", {name: None})
        )

    def test_a_list_that_is_missing_or_no_json(self, bundle, tmp_path):
        path = tmp_path / "none.zip"
        for data in (None, b"", b"[]", b"{", b"[" * 100_000, b'{"format": 1}', b"\xff"):
            with zipfile.ZipFile(path, "w") as archive:
                for name, value in contents(bundle).items():
                    archive.writestr(name, value)
                if data is not None:
                    archive.writestr("bundle.json", data)
            assert "bundle.json" in refused(path)

    def test_something_packed_into_little(self, bundle, tmp_path):
        path = tmp_path / "bomb.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("transfer-run.txt", b"x")
            archive.writestr("run/model.keras", bytes(50_000_000))
        assert "unpacks to" in refused(path)

    @pytest.mark.slow
    def test_single_bytes_anywhere(self, bundle, tmp_path, home):
        """Either it is refused and leaves nothing, or what matters has not changed."""
        data = bundle.read_bytes()
        original = contents(bundle)
        chance = random.Random(0)
        taken = 0
        # The directory at the end is a small part, in which more can go wrong.
        directory = data.rindex(b"bundle.json") - 100 * len(original)
        places = [chance.randrange(len(data)) for _ in range(30)]
        places += [chance.randrange(directory, len(data)) for _ in range(60)]
        path = tmp_path / "flipped.zip"
        for place in places:
            changed = bytearray(data)
            changed[place] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            try:
                run_id = bundles.bring_in(path)
            except BundleError:
                assert kept(home) == []
            else:
                taken += 1
                for name in ("config.json", "model.keras", "answers.npz", "split.json"):
                    there = workshop.run(run_id).folder / name
                    assert there.read_bytes() == original[f"run/{name}"]
                workshop.delete(workshop.run(run_id))
                shutil.rmtree(home / "datasets")
        assert taken < len(places) / 2


class TestImporting:
    """An upload that is a run, as the page sends it."""

    def sent(self, path: Path, purpose: uploads.Purpose) -> uploads.Upload:
        upload = uploads.begin(path.name, path.stat().st_size, uploads.Aim(purpose))
        shutil.copy(path, upload.data)
        return uploads.finish(upload.id)

    def test_a_run(self, bundle, learned):
        upload = importing.take_in(self.sent(bundle, "run").id)
        assert (upload.state, upload.error) == ("done", None)
        assert (upload.run, upload.digest) == (learned.run_id, learned.digest)
        assert uploads.get(upload.id) == upload
        assert workshop.run(learned.run_id).finished
        assert not upload.source.exists()

    def test_its_job(self, bundle, learned, capsys):
        assert importing.main([self.sent(bundle, "run").id]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer == {"digest": learned.digest, "run": learned.run_id}

    def test_its_way_over_the_web(self, bundle, learned):
        size = bundle.stat().st_size
        asked = json.dumps({"name": bundle.name, "size": size, "purpose": "run"})
        with serving(upload_routes.routes()) as port:
            status, upload = request(port, "POST", "", asked)
            assert (status, upload["purpose"]) == (201, "run")
            one = f"/{upload['id']}"
            assert request(port, "PUT", f"{one}?offset=0", bundle.read_bytes())[0] == 200
            assert request(port, "POST", f"{one}/finish")[0] == 200
            importing.take_in(upload["id"])
            assert request(port, "GET", one)[1]["run"] == learned.run_id

    @pytest.mark.parametrize("purpose", ["", "model", None, 1, ["run"], {}])
    def test_a_purpose_that_is_none(self, purpose):
        asked = json.dumps({"name": "x.zip", "size": 10, "purpose": purpose})
        with serving(upload_routes.routes()) as port:
            status, answer = request(port, "POST", "", asked)
        assert (status, list(answer)) == (400, ["error"])

    def test_pictures_in_its_place(self, sample_zip, home):
        upload = importing.take_in(self.sent(sample_zip, "run").id)
        assert upload.state == "failed"
        assert upload.error is not None
        assert "Pictures belong on the page 'Data'" in upload.error
        assert not (home / "datasets").exists()

    def test_a_run_in_place_of_pictures(self, bundle, home):
        upload = importing.take_in(self.sent(bundle, "data").id)
        assert upload.error is not None
        assert "Bring it in on the page 'Runs'" in upload.error
        assert not (home / "runs").exists()

    def test_one_that_was_tampered_with(self, bundle, tmp_path, home):
        bad = rewritten(bundle, tmp_path / "bad.zip", {"run/config.json": b"{}"})
        upload = importing.take_in(self.sent(bad, "run").id)
        assert upload.error is not None
        assert "'run/config.json' is not what was packed" in upload.error
        assert not (home / "runs").exists()
        assert not (home / "datasets").exists()

    def test_an_upload_of_an_older_app_is_one_of_pictures(self):
        upload = uploads.begin("cats.zip", 1000)
        path = upload.folder / "upload.json"
        value = json.loads(path.read_text())
        del value["purpose"], value["run"]
        path.write_text(json.dumps(value))
        assert uploads.get(upload.id).purpose == "data"


class TestVersions:
    """A run takes along which version of the data set it learned from."""

    @pytest.fixture
    def taken(self, finished, tmp_path) -> Path:
        """The file of a run that learned from the second version."""
        name = datasets.index(finished.digest).pictures[0].name
        versions.change(finished.digest, Change("group", (name,), to="by hand"))
        run = workshop.run(finished.run_id)
        digest = versions.keep(finished.digest)
        run.write("config", {**run.config().to_json(), "dataset": digest})
        return Path(shutil.copy(bundles.packed("run", finished.run_id), tmp_path))

    def test_it_is_the_same_version_elsewhere(self, finished, taken, tmp_path, monkeypatch):
        there = versions.history(finished.digest)[-1]
        monkeypatch.setenv("TRANSFER_HOME", str(tmp_path / "elsewhere"))
        digest = workshop.run(bundles.bring_in(taken)).config().dataset
        assert versions.history(digest) == (there,)
        assert datasets.name(digest) == "Fruit, version 2"
        assert datasets.index(digest).pictures[0].group == "by hand"

    def test_it_joins_its_series_with_a_number_of_its_own(
        self, finished, fruit_set, taken, tmp_path, monkeypatch
    ):
        elsewhere = tmp_path / "elsewhere"
        shutil.copytree(fruit_set.home, elsewhere)
        monkeypatch.setenv("TRANSFER_HOME", str(elsewhere))
        datasets.rename(fruit_set.digest, "Mine")
        name = datasets.index(fruit_set.digest).pictures[1].name
        versions.change(fruit_set.digest, Change("delete", (name,)))
        own = versions.keep(fruit_set.digest)
        digest = workshop.run(bundles.bring_in(taken)).config().dataset
        assert [one.digest for one in versions.history(own)] == [fruit_set.digest, own, digest]
        assert datasets.name(digest) == "Mine, version 3"

    @pytest.mark.parametrize(
        ("change", "said"),
        [({"series": "0" * 32}, "another version"), ({"series": "../x"}, "another version"),
         ({"parent": "../x"}, "another version"), ({"number": 0}, "number of its version"),
         ({"number": "2"}, "another form"), ({"words": [3]}, "another form")],
    )  # fmt: skip
    def test_what_is_said_of_it_is_looked_through(self, taken, tmp_path, change, said):
        value = json.loads(contents(taken)["dataset/version.json"])
        data = json.dumps({**value, **change}).encode()
        assert said in refused(resealed(taken, tmp_path / "x.zip", {"dataset/version.json": data}))
