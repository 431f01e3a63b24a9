"""The versions of a data set in the store: drafts, undoing, keeping, adding, deleting."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.transfer.test_mending import CHANGES
from transfer import store
from transfer.dataset import library, versions
from transfer.dataset.index import ImageIndex, Picture, Rejected
from transfer.dataset.mending import Change
from transfer.errors import DataError

A_TO_B = Change("relabel", ("ants/0.jpg",), to="bees")


def made(digest: str = "a" * 32, /, *pictures: Picture, **classes: int) -> str:
    """Put a data set into the store: given pictures, or so many of each class."""
    chosen = list(pictures) or [
        picture(f"{label}/{i}.jpg", label) for label, count in classes.items() for i in range(count)
    ]
    root = store.home() / "datasets" / digest
    for one in chosen:
        place = root / one.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.sha256.encode())
    ordered = sorted(chosen, key=lambda p: (p.split or "", p.label, p.name))
    index = ImageIndex(root, digest, tuple(ordered), (Rejected("a.txt", "it is not a picture"),))
    store.write_json(root / "index.json", index.to_json())
    store.write_json(root / "about.json", {"name": "Insects", "added": 1.0})
    return digest


def picture(name: str, label: str, split: str | None = None, content: str = "") -> Picture:
    sha256 = hashlib.sha256((content or name).encode()).hexdigest()
    return Picture(name, label, split, f"images/{sha256}.png", sha256, 40, 30)


@pytest.fixture
def insects() -> str:
    return made(ants=4, bees=3, Wasps=2)


def folder(digest: str) -> Path:
    return store.home() / "datasets" / digest


def stored(digest: str) -> ImageIndex:
    """A version, read as a training does; every picture of it is there and the right one."""
    index = library.open_dataset(digest, minimum_per_class=1)
    for one in index.pictures:
        assert index.path(one).read_bytes() == one.sha256.encode()
    assert index.digest == digest
    return index


def kept(digest: str, *changes: Change) -> str:
    for change in changes:
        versions.change(digest, change)
    return versions.keep(digest)


class TestDraft:
    def test_looking_changes_nothing(self, insects):
        before = sorted(folder(insects).parent.rglob("*"))
        assert versions.draft(insects) == versions.undone(insects) == ()
        assert versions.drafted(insects) == stored(insects)
        assert [one.number for one in versions.history(insects)] == [1]
        assert (versions.latest(insects), versions.number(insects)) == (insects, 1)
        assert sorted(folder(insects).parent.rglob("*")) == before

    def test_a_change_is_noted_and_the_version_stays_as_it_is(self, insects):
        before = stored(insects)
        noted = versions.change(insects, A_TO_B)
        assert noted == Change("relabel", ("ants/0.jpg",), ("ants",), "bees")
        assert versions.draft(insects) == (noted,)
        assert versions.drafted(insects).counts() == {"Wasps": 2, "ants": 3, "bees": 4}
        assert stored(insects) == before

    def test_what_changes_nothing_is_not_noted(self, insects):
        assert versions.change(insects, Change("relabel", ("ants/0.jpg",), to="ants")) is None
        assert versions.change(insects, Change("move", ("ants/0.jpg",))) is None
        assert versions.draft(insects) == ()

    def test_what_does_not_fit_is_not_noted(self, insects):
        versions.change(insects, Change("delete", classes=("bees",)))
        with pytest.raises(DataError, match=r"no picture 'bees/0\.jpg'"):
            versions.change(insects, Change("move", ("bees/0.jpg",), to="test"))
        assert len(versions.draft(insects)) == 1

    def test_undo_and_redo(self, insects):
        first = versions.change(insects, A_TO_B)
        second = versions.change(insects, Change("delete", ("ants/1.jpg",)))
        assert versions.redo(insects) is None
        assert versions.undo(insects) == second
        assert versions.undo(insects) == first
        assert versions.undo(insects) is None
        assert versions.drafted(insects) == stored(insects)
        assert versions.undone(insects) == (second, first)
        assert versions.redo(insects) == first
        assert versions.draft(insects) == (first,)
        third = versions.change(insects, Change("delete", ("ants/2.jpg",)))
        assert versions.redo(insects) is None
        assert versions.draft(insects) == (first, third)

    def test_discard(self, insects):
        versions.change(insects, A_TO_B)
        versions.discard(insects)
        versions.discard(insects)
        assert versions.draft(insects) == ()
        assert versions.undo(insects) is None

    @pytest.mark.parametrize("text", ["{", "[]", '{"changes": 3, "undone": []}', '{"changes": []}'])
    def test_a_damaged_list_of_changes_is_told_and_can_be_dropped(self, insects, text):
        (folder(insects) / "draft.json").write_text(text)
        for ask in (versions.draft, versions.drafted, versions.undo, versions.keep):
            with pytest.raises(DataError, match="Discard the changes"):
                ask(insects)
        versions.discard(insects)
        assert versions.drafted(insects) == stored(insects)

    @pytest.mark.parametrize("digest", ["0" * 32, "", ".", "../runs", "a/b"])
    def test_what_is_not_there(self, insects, digest):
        looking = versions.draft, versions.drafted, versions.history, versions.number
        doing = versions.undo, versions.redo, versions.keep, versions.discard, versions.latest
        for ask in (*looking, *doing):
            with pytest.raises(DataError, match="no longer in the store"):
                ask(digest)
        with pytest.raises(DataError, match="no longer in the store"):
            versions.add(insects, digest)

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(CHANGES, max_size=6), st.data())
    def test_undoing_any_changes_gives_back_the_pictures(self, insects, changes, data):
        seen = [versions.drafted(insects)]
        assert seen[0] == stored(insects)
        for change in changes:
            try:
                noted = versions.change(insects, change)
            except DataError:
                noted = None
            if noted is not None:
                seen.append(versions.drafted(insects))
        steps = data.draw(st.integers(0, len(seen) - 1))
        for place in range(len(seen) - 2, len(seen) - 2 - steps, -1):
            assert versions.undo(insects) is not None
            assert versions.drafted(insects) == seen[place]
        for place in range(len(seen) - steps, len(seen)):
            assert versions.redo(insects) is not None
            assert versions.drafted(insects) == seen[place]
        while versions.undo(insects):
            pass
        assert versions.drafted(insects) == seen[0]
        versions.discard(insects)


class TestKeep:
    def test_a_version_is_a_data_set_of_its_own(self, insects):
        before = time.time()
        versions.change(insects, A_TO_B)
        expected = versions.drafted(insects)
        new = versions.keep(insects)
        assert stored(new).pictures == expected.pictures
        assert stored(new).rejected == expected.rejected
        assert stored(insects).counts() == {"Wasps": 2, "ants": 4, "bees": 3}
        assert versions.draft(new) == versions.draft(insects) == ()
        first, second = versions.history(insects)
        assert versions.history(new) == (first, second)
        assert (first.digest, first.number, first.parent) == (insects, 1, None)
        assert (second.digest, second.number, second.parent) == (new, 2, insects)
        assert second.words == ("1 picture moved from 'ants' to 'bees'",)
        assert before <= second.made <= time.time()
        assert versions.latest(insects) == new
        about = store.read_json(folder(new) / "about.json")
        assert (about["name"], about["added"]) == ("Insects", second.made)
        leftover = [path.name for path in folder(new).parent.iterdir() if path.is_dir()]
        assert sorted(leftover) == sorted([insects, new])

    def test_pictures_are_linked_and_only_those_that_it_has(self, insects):
        new = kept(insects, Change("delete", classes=("ants",)))
        files = sorted(path.name for path in (folder(new) / "images").iterdir())
        assert files == sorted(Path(one.file).name for one in stored(new).pictures)
        for name in files:
            assert (folder(new) / "images" / name).samefile(folder(insects) / "images" / name)

    def test_copies_where_there_are_no_links(self, insects, monkeypatch):
        def refuse(*_: object) -> None:
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)
        new = kept(insects, A_TO_B)
        for one in stored(new).pictures:
            assert (folder(new) / one.file).stat().st_nlink == 1

    def test_nothing_changed_is_the_same_version(self, insects):
        assert versions.keep(insects) == insects
        back = Change("relabel", ("ants/0.jpg",), to="ants")
        assert kept(insects, A_TO_B, back) == insects
        assert versions.draft(insects) == ()
        assert len(versions.history(insects)) == 1

    def test_the_digest_is_that_of_the_content_however_it_came_about(self, insects):
        some = [Change("relabel", (f"ants/{i}.jpg",), to="bees") for i in (0, 1)]
        second = kept(insects, *some)
        assert kept(insects, *reversed(some)) == second
        assert kept(insects, A_TO_B) != second
        assert len(versions.history(insects)) == 3

    @pytest.mark.parametrize(
        "change",
        [A_TO_B, Change("move", ("ants/0.jpg",), to="test"), Change("delete", ("ants/0.jpg",)),
         Change("group", ("ants/0.jpg",), to="film")],
    )  # fmt: skip
    def test_all_that_is_said_of_a_picture_counts(self, insects, change):
        assert kept(insects, change) != insects

    def test_going_back_is_the_older_version(self, insects):
        second = kept(insects, A_TO_B)
        third = kept(second, Change("delete", ("ants/1.jpg",)))
        assert kept(second, Change("relabel", ("ants/0.jpg",), to="ants")) == insects
        assert kept(second, Change("delete", ("ants/1.jpg",))) == third
        assert [one.number for one in versions.history(third)] == [1, 2, 3]

    def test_other_series_with_the_same_pictures_stay_apart(self, insects):
        other = made("b" * 32, ants=4, bees=3, Wasps=2)
        mine, theirs = kept(insects, A_TO_B), kept(other, A_TO_B)
        assert mine != theirs
        assert stored(mine).pictures == stored(theirs).pictures
        assert [one.digest for one in versions.history(theirs)] == [other, theirs]

    def test_the_draft_of_another_version_stays(self, insects):
        second = kept(insects, A_TO_B)
        versions.change(insects, Change("delete", ("ants/1.jpg",)))
        kept(second, Change("delete", ("ants/2.jpg",)))
        assert len(versions.draft(insects)) == 1

    def test_deleting_any_version_leaves_the_others_whole(self, insects):
        second = kept(insects, A_TO_B)
        third = kept(second, Change("delete", ("ants/1.jpg",)))
        fourth = kept(third, Change("rename", classes=("bees",), to="Bees"))
        contents = {one: stored(one) for one in (insects, second, third, fourth)}
        for gone in (third, insects, fourth):
            shutil.rmtree(folder(gone))
            del contents[gone]
            assert {one.digest for one in versions.history(second)} == set(contents)
            for one, content in contents.items():
                assert stored(one) == content
        assert [one.number for one in versions.history(second)] == [2]
        assert versions.number(kept(second, Change("delete", ("ants/3.jpg",)))) == 3

    def test_a_data_set_that_comes_again_is_again_the_first_of_its_series(self, insects):
        second = kept(insects, A_TO_B)
        shutil.rmtree(folder(insects))
        made(ants=4, bees=3, Wasps=2)
        assert [one.digest for one in versions.history(insects)] == [insects, second]

    def test_a_full_disk_leaves_nothing_and_the_draft(self, insects, monkeypatch):
        def refuse(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        versions.change(insects, A_TO_B)
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", refuse)
            patch.setattr(shutil, "copyfile", refuse)
            with pytest.raises(DataError, match="No space left"):
                versions.keep(insects)
        assert [path.name for path in folder(insects).parent.glob("*/")] == [insects]
        assert len(versions.draft(insects)) == 1
        assert versions.number(versions.keep(insects)) == 2

    def test_equal_names_from_elsewhere_can_be_mended(self):
        twice = made("c" * 32, picture("a.jpg", "x"), picture("a.jpg", "y", content="other"))
        assert versions.keep(twice) == twice
        new = kept(twice, Change("relabel", ("a (2).jpg",), to="x"))
        assert stored(new).counts() == {"x": 2}


class TestAdd:
    def test_the_union_with_what_is_drafted(self, insects):
        more = made(
            "b" * 32,
            picture("ants/0.jpg", "Ants", content="new"),
            picture("moths/0.jpg", "moths", "test"),
            picture("copy.jpg", "WASPS", content="Wasps/0.jpg"),
            picture("judged.jpg", "ants", content="bees/0.jpg"),
        )
        versions.change(insects, A_TO_B)
        new = versions.add(insects, more)
        index = stored(new)
        assert index.counts() == {"Wasps": 2, "ants": 5, "bees": 4, "moths": 1}
        names = [one.name for one in index.pictures]
        assert len(set(names)) == len(names) == 12
        assert "ants/0 (2).jpg" in names
        assert {one.split for one in index.pictures} == {None}
        note = "1 picture was not added: the same were there already, in the same class."
        assert index.warnings == (note,)
        assert versions.history(new)[-1].words == (
            "1 picture moved from 'ants' to 'bees'",
            "3 pictures added from 'Insects'",
        )
        assert versions.draft(insects) == ()
        assert stored(kept(new, Change("delete", ("copy.jpg", "moths/0.jpg")[1:]))).warnings == ()
        shutil.rmtree(folder(more))
        shutil.rmtree(folder(insects))
        assert stored(new) == index

    def test_nothing_new_is_the_same_version(self, insects):
        more = made("b" * 32, ants=2)
        assert versions.add(insects, more) == versions.add(insects, insects) == insects
        second = kept(insects, A_TO_B)
        assert versions.add(second, insects) != second  # ants/0 stands in another class there

    def test_parts_of_its_own_stay_what_they_are(self):
        own = made("a" * 32, picture("1", "x", "train"), picture("2", "x", "test"))
        more = made("b" * 32, picture("3", "x"), picture("4", "x", "val"))
        index = stored(versions.add(own, more))
        assert {one.name: one.split for one in index.pictures} == {
            "1": "train", "2": "test", "3": "train", "4": "val",
        }  # fmt: skip
        back = stored(versions.add(more, own))
        assert {one.name: one.split for one in back.pictures}["2"] is None

    def test_what_was_left_out_of_either_is_told_once(self, insects):
        more = made("b" * 32, moths=1)
        path = folder(more) / "index.json"
        value = json.loads(path.read_text())
        value["rejected"].append({"file": "b.txt", "reason": "it is not a picture"})
        path.write_text(json.dumps(value))
        index = stored(versions.add(insects, more))
        assert [one.file for one in index.rejected] == ["a.txt", "b.txt"]


def test_a_real_upload_has_versions(tmp_path):
    for i in range(8):
        place = tmp_path / "upload" / ("light" if i % 2 else "dark") / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (100 * (i % 2) + i, 0, 0)).save(place)
    first = library.import_dataset(tmp_path / "upload")
    name = first.pictures[0].name
    versions.change(first.digest, Change("relabel", (name,), to="light"))
    new = library.open_dataset(versions.keep(first.digest), minimum_per_class=1)
    (moved,) = [one for one in new.pictures if one.name == name]
    assert (moved.label, moved.origin) == ("light", first.pictures[0].origin)
    assert new.path(moved).samefile(first.path(first.pictures[0]))
    assert library.import_dataset(tmp_path / "upload").pictures == first.pictures


def test_ten_thousand_pictures_are_mended_in_a_moment():
    digest = made(**{f"class{i}": 1000 for i in range(10)})
    some = tuple(f"class0/{i}.jpg" for i in range(200))
    versions.change(digest, Change("relabel", some, to="class1"))
    spent = {}
    for what in (versions.drafted, versions.keep):
        start = time.process_time()
        what(digest)
        spent[what.__name__] = time.process_time() - start
    # Ten times what it takes on an idle machine with two cores.
    assert spent["drafted"] < 3
    assert spent["keep"] < 10
