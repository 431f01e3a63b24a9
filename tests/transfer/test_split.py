from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.split import Split, split
from transfer.errors import DataError


def _index(*pictures: tuple[str, str, str | None]) -> ImageIndex:
    """Build an index from (label, content, the user's split)."""
    return ImageIndex(
        root=Path("nowhere"),
        digest="0",
        pictures=tuple(
            Picture(f"{label}/{i}.png", label, part, f"images/{content}.png", content, 10, 10)
            for i, (label, content, part) in enumerate(pictures)
        ),
        rejected=(),
        warnings=(),
    )


def _plain(**counts: int) -> ImageIndex:
    return _index(*[(label, f"{label}{i}", None) for label, n in counts.items() for i in range(n)])


def test_each_class_is_shared_out_70_15_15():
    index = _plain(cat=100, dog=40)
    parts = split(index, seed=0)
    assert parts.counts() == {"train": 98, "val": 21, "test": 21}
    labels = Counter(index.pictures[i].label for i in parts.test)
    assert labels == {"cat": 15, "dog": 6}
    assert sorted(parts.train + parts.val + parts.test) == list(range(140))


def test_the_smallest_class_is_in_every_part():
    index = _plain(cat=4, dog=4)
    assert split(index, seed=0).counts() == {"train": 4, "val": 2, "test": 2}


def test_the_seed_decides_and_nothing_else_does():
    index = _plain(cat=50, dog=50)
    assert split(index, seed=1) == split(index, seed=1)
    assert split(index, seed=1) != split(index, seed=2)


def test_copies_stay_on_one_side_even_under_two_labels():
    rows = [("cat", f"c{i // 3}", None) for i in range(60)]
    rows += [("dog", f"c{i}" if i < 10 else f"d{i}", None) for i in range(60)]
    index = _index(*rows)
    for seed in range(10):
        parts = split(index, seed)
        sides = [{index.pictures[i].sha256 for i in part} for part in (parts.train, parts.val)]
        sides.append({index.pictures[i].sha256 for i in parts.test})
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_the_users_folders_are_kept_and_validation_comes_out_of_train():
    rows = [(label, f"{label}{i}", "train") for label in ("cat", "dog") for i in range(20)]
    rows += [(label, f"t{label}{i}", "test") for label in ("cat", "dog") for i in range(5)]
    index = _index(*rows)
    parts = split(index, seed=0)
    assert parts.counts() == {"train": 34, "val": 6, "test": 10}
    assert {index.pictures[i].split for i in parts.val} == {"train"}
    assert {index.pictures[i].split for i in parts.test} == {"test"}


def test_train_and_val_without_test_leaves_test_empty():
    rows = [
        (label, f"{part}{label}{i}", part)
        for label in ("cat", "dog")
        for part, n in (("train", 8), ("val", 3))
        for i in range(n)
    ]
    assert split(_index(*rows), seed=0).counts() == {"train": 16, "val": 6, "test": 0}


def test_a_training_picture_that_is_also_in_test_is_left_out_and_said():
    rows = [(label, f"{label}{i}", "train") for label in ("cat", "dog") for i in range(10)]
    rows += [("cat", "cat3", "test"), ("dog", "x", "test")]
    parts = split(_index(*rows), seed=0)
    assert parts.left_out == (3,)
    assert 3 not in parts.train + parts.val
    assert "1 picture of" in parts.warnings[0]


def test_groups_stay_on_one_side_and_each_class_gets_its_shares():
    index = _plain(cat=120, dog=60)
    groups = np.arange(180) // 4  # 30 bursts of cats, 15 of dogs
    for seed in range(5):
        parts = split(index, seed, groups=groups)
        sides = [set(parts.together(side)) for side in (parts.train, parts.val, parts.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert sorted(parts.train + parts.val + parts.test) == list(range(180))
        tested = Counter(index.pictures[i].label for i in parts.test)
        assert tested == {"cat": 16, "dog": 8}  # 18 and 9, in whole bursts of 4
        assert not parts.warnings


def test_a_few_large_groups_still_give_each_part_some_of_each_class():
    index = _plain(cat=30, dog=30)
    groups = np.array([*np.arange(30) // 10, *(10 + np.arange(30))])  # cats: three bursts of ten
    for seed in range(5):
        parts = split(index, seed, groups=groups)
        for side in (parts.train, parts.val, parts.test):
            assert "cat" in {index.pictures[i].label for i in side}


def test_a_class_of_one_group_is_learned_from_and_said():
    index = _plain(cat=30, dog=30)
    groups = np.array([0] * 30 + list(range(1, 31)))
    parts = split(index, 0, groups=groups)
    assert set(range(30)) <= set(parts.train)
    assert "'cat'" in parts.warnings[0]
    assert "one group" in parts.warnings[0]


def test_a_group_of_two_classes_never_takes_the_last_one_that_a_class_learns_from():
    index = _plain(cat=20, dog=4)
    groups = np.array([0] * 10 + list(range(1, 11)) + [0, 0, 0, 20])  # most dogs beside cats
    for seed in range(10):
        parts = split(index, seed, groups=groups)
        assert {"cat", "dog"} <= {index.pictures[i].label for i in parts.train}


def test_near_copies_of_test_pictures_are_left_out_but_bursts_across_the_users_folders_stay():
    rows = [(label, f"{label}{i}", "train") for label in ("cat", "dog") for i in range(10)]
    rows += [("cat", "x", "test"), ("dog", "y", "test")]
    index = _index(*rows)  # sorted as given: tests at 20 and 21
    copies = np.arange(22)
    copies[20] = copies[3]
    groups = copies.copy()
    groups[21] = groups[12]
    parts = split(index, 0, copies, groups)
    assert parts.left_out == (3,)
    assert 12 in parts.train + parts.val


def test_pictures_put_into_the_test_by_hand_stay_there_and_the_others_are_shared_out():
    rows = [(label, f"{label}{i}", None) for label in ("cat", "dog") for i in range(20)]
    rows += [("cat", "x", "test"), ("dog", "y", "test")]
    parts = split(_index(*rows), seed=0)
    assert parts.test == (40, 41)
    assert parts.counts() == {"train": 34, "val": 6, "test": 2}


def test_a_class_without_training_pictures_is_an_error_that_names_it():
    rows = [("cat", f"c{i}", "train") for i in range(10)] + [("dog", "d", "test")]
    with pytest.raises(DataError, match="'dog'"):
        split(_index(*rows), seed=0)


def test_val_and_test_without_train_is_an_error():
    rows = [("cat", "a", "val"), ("cat", "b", "test")]
    with pytest.raises(DataError, match="'train' folder"):
        split(_index(*rows), seed=0)


def test_json_both_ways():
    parts = split(_plain(cat=10, dog=10), seed=0)
    assert Split.from_json(parts.to_json()) == parts
