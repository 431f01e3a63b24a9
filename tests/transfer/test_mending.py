"""Changes to a data set: what they do, what they refuse, and how they are told."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.dataset import mending
from transfer.dataset.index import ImageIndex, Picture, Rejected
from transfer.dataset.mending import Change, NameTakenError
from transfer.errors import DataError


def index_of(**classes: int) -> ImageIndex:
    """So many pictures of each class, named and sorted as the importer does."""
    pictures = [
        Picture(f"{label}/{i}.jpg", label, None, f"images/{label}{i}.png", f"{label}{i}", 40, 30)
        for label, count in classes.items()
        for i in range(count)
    ]
    ordered = tuple(sorted(pictures, key=lambda p: (p.split or "", p.label, p.name)))
    return ImageIndex(Path("nowhere"), "0", ordered, (Rejected("a.txt", "no picture"),), ("old",))


INDEX = index_of(ants=4, bees=3, Wasps=2)


def mended(*changes: Change, index: ImageIndex = INDEX) -> ImageIndex:
    return mending.apply(index, changes)


def refusal(change: Change, index: ImageIndex = INDEX) -> str:
    with pytest.raises(DataError) as caught:
        mending.apply(index, [change])
    with pytest.raises(DataError):
        mending.completed(index, change)
    return str(caught.value)


def labels(index: ImageIndex) -> dict[str, str]:
    return {picture.name: picture.label for picture in index.pictures}


class TestWhatChangesDo:
    def test_nothing_is_nothing(self):
        assert mended() is INDEX

    def test_relabel_keeps_the_name_and_sorts_anew(self):
        result = mended(Change("relabel", ("ants/0.jpg", "Wasps/1.jpg"), to="bees"))
        assert result.counts() == {"Wasps": 1, "ants": 3, "bees": 5}
        assert [p.name for p in result.by_split(None) if p.label == "bees"] == [
            "Wasps/1.jpg", "ants/0.jpg", "bees/0.jpg", "bees/1.jpg", "bees/2.jpg",
        ]  # fmt: skip
        assert (result.rejected, result.warnings) == (INDEX.rejected, INDEX.warnings)
        assert (result.root, result.digest) == (INDEX.root, INDEX.digest)

    def test_relabel_into_a_new_class(self):
        result = mended(Change("relabel", ("ants/0.jpg",), to="  a \n queen "))
        assert labels(result)["ants/0.jpg"] == "a queen"

    def test_split_off(self):
        result = mended(Change("split_off", ("ants/0.jpg", "ants/1.jpg"), to="queens"))
        assert result.counts() == {"Wasps": 2, "ants": 2, "bees": 3, "queens": 2}

    def test_a_class_that_lost_its_last_picture_is_gone(self):
        result = mended(Change("relabel", ("Wasps/0.jpg", "Wasps/1.jpg"), to="bees"))
        assert result.classes == ("ants", "bees")
        result = mended(Change("rename", classes=("ants",), to="Wasps "), index=result)
        assert result.classes == ("Wasps", "bees")

    @pytest.mark.parametrize("part", ["train", "val", "test", None])
    def test_move(self, part):
        before = mended(Change("move", ("bees/1.jpg", "bees/2.jpg"), to="test"))
        result = mended(Change("move", ("bees/1.jpg",), to=part), index=before)
        (moved,) = [p for p in result.pictures if p.name == "bees/1.jpg"]
        assert (moved.split, moved.label) == (part, "bees")
        assert Counter(p.split for p in result.pictures)["test"] == 1 + (part == "test")

    def test_merge_into_one_of_them_another_one_or_a_new_one(self):
        both = ("ants", "bees")
        assert mended(Change("merge", classes=both, to="ants")).counts() == {"Wasps": 2, "ants": 7}
        assert mended(Change("merge", classes=both, to="Wasps")).counts() == {"Wasps": 9}
        assert mended(Change("merge", classes=both, to="all")).counts() == {"Wasps": 2, "all": 7}
        assert mended(Change("merge", classes=both, to="Ants")).counts() == {"Ants": 7, "Wasps": 2}

    def test_rename_also_only_in_case(self):
        assert mended(Change("rename", classes=("ants",), to="Ants")).classes == (
            "Ants", "Wasps", "bees",
        )  # fmt: skip

    def test_delete_pictures_or_whole_classes(self):
        one = mended(Change("delete", ("ants/0.jpg",), ("ants",)))
        assert one.counts() == {"Wasps": 2, "ants": 3, "bees": 3}
        assert mended(Change("delete", classes=("ants", "bees"))).counts() == {"Wasps": 2}

    def test_group_by_hand(self):
        some = ("ants/0.jpg", "bees/0.jpg")
        result = mended(Change("group", some, to="film 1"))
        assert {p.name for p in result.pictures if p.group == "film 1"} == set(some)
        back = mended(Change("group", some[:1]), index=result)
        assert [p.name for p in back.pictures if p.group] == ["bees/0.jpg"]

    def test_group_by_a_pattern_names_the_groups_of_all(self):
        before = mended(Change("group", ("Wasps/0.jpg",), to="mine"))
        result = mended(Change("group", pattern=r"^([a-z]+)/"), index=before)
        assert Counter(p.group for p in result.pictures) == {"ants": 4, "bees": 3, None: 2}

    def test_classes_alike_up_to_case_are_warned_of_as_long_as_they_are(self):
        start = index_of(ants=2, Ants=2, bees=2)
        assert mended(Change("relabel", ("ants/0.jpg",), to="bees"), index=start).warnings == (
            "The classes 'Ants' and 'ants' differ only in upper and lower case. If they are one"
            " class, name their folders alike.",
            "old",
        )
        merged = mended(Change("merge", classes=("ants", "Ants"), to="ants"), index=start)
        assert (merged.counts(), merged.warnings) == ({"ants": 4, "bees": 2}, ("old",))

    def test_equal_names_are_told_apart_by_numbers(self):
        twice = ImageIndex(INDEX.root, "0", (INDEX.pictures[0], *INDEX.pictures))
        name = INDEX.pictures[0].name
        result = mended(Change("relabel", ("Wasps/0 (2).jpg",), to="bees"), index=twice)
        assert name == "Wasps/0.jpg"
        assert len(labels(result)) == len(twice.pictures)
        assert (labels(result)[name], labels(result)["Wasps/0 (2).jpg"]) == ("Wasps", "bees")


class TestWhatIsRefused:
    def test_what_is_not_there(self):
        said = refusal(Change("relabel", ("ants/0.jpg", "gone.jpg", "also.jpg"), to="bees"))
        assert "no picture 'gone.jpg' and 1 others" in said
        assert "there are 'Wasps', 'ants' and 'bees'" in refusal(
            Change("merge", classes=("ants", "moths"), to="ants")
        )
        assert "no class 'ANTS'" in refusal(Change("delete", classes=("ANTS",)))

    @pytest.mark.parametrize("do", ["relabel", "split_off", "move", "delete", "group"])
    def test_no_pictures(self, do):
        assert "received none" in refusal(Change(do, to="train"))

    @pytest.mark.parametrize("do", ["merge", "rename"])
    def test_no_classes(self, do):
        assert "received none" in refusal(Change(do, to="new"))

    @pytest.mark.parametrize("name", ["", " \t\n ", None])
    @pytest.mark.parametrize("do", ["relabel", "split_off", "merge", "rename"])
    def test_a_name_that_is_empty(self, do, name):
        said = refusal(Change(do, ("ants/0.jpg",), ("ants",), to=name))
        assert "A class needs a name" in said

    def test_a_name_that_is_endless(self):
        assert "received 101" in refusal(Change("rename", classes=("ants",), to="x" * 101))
        assert "received 101" in refusal(Change("group", ("ants/0.jpg",), to="x" * 101))
        assert "A group needs a name" in refusal(Change("group", ("ants/0.jpg",), to=" "))

    @pytest.mark.parametrize(
        ("change", "other"),
        [(Change("rename", classes=("ants",), to="bees"), "bees"),
         (Change("rename", classes=("ants",), to="BEES"), "bees"),
         (Change("relabel", ("ants/0.jpg",), to="wasps"), "Wasps"),
         (Change("split_off", ("ants/0.jpg",), to="ants"), "ants"),
         (Change("split_off", ("ants/0.jpg",), to="Bees"), "bees"),
         (Change("merge", classes=("ants", "bees"), to="WASPS"), "Wasps")],
    )  # fmt: skip
    def test_the_name_of_another_class(self, change, other):
        """Its name comes with the error, so that a page can offer to merge."""
        with pytest.raises(NameTakenError, match=f"'{other}' already") as caught:
            mended(change)
        assert caught.value.other == other

    def test_a_part_that_is_none(self):
        assert "train, val, test, received 'Test'" in refusal(
            Change("move", ("ants/0.jpg",), to="Test")
        )

    def test_deleting_everything(self):
        assert "every picture" in refusal(Change("delete", classes=INDEX.classes))
        assert "every picture" in refusal(Change("delete", tuple(p.name for p in INDEX.pictures)))

    @pytest.mark.parametrize(
        ("pattern", "said"),
        [
            ("(", "cannot be read"),
            ("(a)(b)", "2 pairs"),
            ("(a+)+", "repeats"),
            ("(zebra)", "none of"),
        ],
    )
    def test_a_pattern_of_no_use(self, pattern, said):
        assert said in refusal(Change("group", pattern=pattern))

    def test_a_kind_that_is_unknown(self):
        assert "received 'paint'" in refusal(Change("paint", ("ants/0.jpg",)))

    def test_two_classes_cannot_be_renamed_at_once(self):
        assert "received 2" in refusal(Change("rename", classes=("ants", "bees"), to="x"))


class TestWords:
    @pytest.mark.parametrize(
        ("change", "said"),
        [(Change("relabel", ("ants/0.jpg", "ants/1.jpg", "ants/0.jpg"), to="bees"),
          "2 pictures moved from 'ants' to 'bees'"),
         (Change("relabel", ("ants/0.jpg", "Wasps/0.jpg"), to="bees"),
          "2 pictures moved from 'Wasps' and 'ants' to 'bees'"),
         (Change("split_off", ("ants/0.jpg",), to="queens"),
          "1 picture of 'ants' split off as the new class 'queens'"),
         (Change("move", ("ants/0.jpg",), to="test"),
          "1 picture of 'ants' put into the part 'test'"),
         (Change("move", ("ants/0.jpg",)), "1 picture of 'ants' left to the app to share out"),
         (Change("merge", classes=("ants", "bees"), to="bees"),
          "the classes 'ants' and 'bees' merged into 'bees'"),
         (Change("rename", classes=("ants",), to=" Ants "), "the class 'ants' renamed to 'Ants'"),
         (Change("delete", ("ants/0.jpg",)), "1 picture of 'ants' deleted"),
         (Change("delete", classes=("ants",)), "the class 'ants' deleted with all pictures"),
         (Change("group", ("ants/0.jpg",), to="film"), "1 picture grouped as 'film'"),
         (Change("group", ("ants/0.jpg",)), "1 picture taken out of its groups"),
         (Change("group", pattern=r"(\d)"),
          r"groups named by the file names, by the pattern (\d)")],
    )  # fmt: skip
    def test_each_kind_as_it_is_kept(self, change, said):
        kept = mending.completed(INDEX, change)
        assert mending.words(kept) == said
        assert Change.from_json(kept.to_json()) == kept
        assert mended(kept) == mended(change)

    def test_those_that_differ_only_in_pictures_are_told_as_one(self):
        changes = [Change("relabel", (f"ants/{i}.jpg",), ("ants",), "bees") for i in (0, 1, 1)]
        other = Change("delete", ("bees/0.jpg",), ("bees",))
        assert mending.summary([changes[0], other, *changes[1:]]) == (
            "2 pictures moved from 'ants' to 'bees'",
            "1 picture of 'bees' deleted",
        )


_NAMES = st.sampled_from([p.name for p in INDEX.pictures])
_CLASSES = st.sampled_from(["ants", "bees", "Wasps", "BEES", "new"])
CHANGES = st.builds(
    Change,
    do=st.sampled_from(["relabel", "move", "merge", "split_off", "rename", "delete", "group"]),
    pictures=st.lists(_NAMES, max_size=3).map(tuple),
    classes=st.lists(_CLASSES, max_size=2).map(tuple),
    to=_CLASSES | st.sampled_from(["train", "test"]) | st.none(),
    pattern=st.none() | st.just(r"(\d)"),
)


@given(st.lists(CHANGES, max_size=8))
def test_any_changes_keep_every_picture_that_is_not_deleted_and_one_by_one_is_as_at_once(changes):
    index, done = INDEX, []
    for change in changes:
        try:
            index = mending.apply(index, [change])
        except DataError:
            continue
        done.append(change)
        assert index.pictures
        assert mending.apply(INDEX, done) == index
    before = {picture.name: picture for picture in INDEX.pictures}
    for picture in index.pictures:
        old = before[picture.name]
        assert (picture.sha256, picture.file, picture.width) == (old.sha256, old.file, old.width)
        assert picture.label.strip()
    deleted = sum(change.do == "delete" for change in done)
    assert deleted or len(index.pictures) == len(INDEX.pictures)
    order = [(p.split or "", p.label, p.name) for p in index.pictures]
    assert order == sorted(order)
