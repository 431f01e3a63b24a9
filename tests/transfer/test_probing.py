"""The quick check of a mended data set: held out by groups, paired, kept, within its errors."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from transfer import linear, store
from transfer.dataset import versions
from transfer.dataset.index import ImageIndex, Picture
from transfer.dataset.mending import Change
from transfer.errors import DataError
from transfer.feature_store import FeatureStore
from transfer.health import probe_files, probing
from transfer.health.probe_files import Source

DIGEST = "abc123"
WIDTH, COLUMNS = 48, (16, 48)


def _clouds(rng: np.random.Generator, labels: np.ndarray, width: int, apart: float) -> np.ndarray:
    middles = rng.normal(size=(labels.max() + 1, width)) * apart
    return middles[labels] + rng.normal(size=(len(labels), width))


def _put(labels: np.ndarray, seed: int = 0, names: str = "ab", apart: float = 0.9) -> list[str]:
    """Put a data set and its features into the store; return the names of its pictures."""
    rng = np.random.default_rng(seed)
    contents = [hashlib.sha256(f"{seed}-{i}".encode()).hexdigest() for i in range(len(labels))]
    rows = np.zeros((len(labels), WIDTH))
    rows[:, slice(*COLUMNS)] = _clouds(rng, labels, COLUMNS[1] - COLUMNS[0], apart)
    FeatureStore(store.home() / "features" / "net", WIDTH).append(contents, rows)
    root = store.home() / "datasets" / DIGEST
    pictures = [
        Picture(f"{i:03d}.png", names[label], None, f"images/{content}.png", content, 8, 8)
        for i, (label, content) in enumerate(zip(labels, contents, strict=True))
    ]
    store.write_json(root / "index.json", ImageIndex(root, DIGEST, tuple(pictures)).to_json())
    return [picture.name for picture in pictures]


def _check() -> None:
    source = Source("features/net", WIDTH, COLUMNS, "net")
    probe_files.write_source(store.home() / "health" / f"{DIGEST}-net-96", source)


@pytest.mark.parametrize(("n", "width"), [(60, 20), (20, 60)])
def test_what_is_held_out_is_what_a_classifier_without_the_group_says(n, width):
    """Against learning n times anew, each time without one group: no closed form."""
    rng = np.random.default_rng(4)
    labels = np.arange(n) % 3
    x = _clouds(rng, labels, width, 0.6)
    groups = np.arange(n)
    groups[[1, 5, 9]] = 0  # 0, 1, 5 and 9 belong together
    strength = 0.5
    scores, used = probing.held_out(x, labels, groups, (strength,))
    assert used == strength
    scaled = (x - x.mean(axis=0)) / (x.std(axis=0) * np.sqrt(width))
    targets = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    for group in np.unique(groups):
        left, rest = groups == group, groups != group
        mean_x, mean_t = scaled[rest].mean(axis=0), targets[rest].mean(axis=0)
        inner = scaled[rest] - mean_x
        weights = np.linalg.solve(
            inner.T @ inner + strength * np.eye(width), inner.T @ (targets[rest] - mean_t)
        )
        expected = (scaled[left] - mean_x) @ weights + mean_t
        np.testing.assert_allclose(scores[left], expected, atol=2e-4)


def test_it_agrees_with_the_probe_of_a_training():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 400)
    x = _clouds(rng, labels, 64, 0.35)
    scores, _ = probing.held_out(x, labels, np.arange(400), probing.STRENGTHS)
    mine = (scores.argmax(axis=1) == labels).mean()
    theirs = (linear.probe(x, labels, 4).held_out.argmax(axis=1) == labels).mean()
    assert 0.5 < theirs < 0.95
    assert mine == pytest.approx(theirs, abs=0.03)


def test_copies_and_named_groups_stay_together():
    def picture(name: str, content: str, group: str | None) -> Picture:
        return Picture(name, "a", None, "f", content, 1, 1, None, group)

    ids = probing.groups(
        [picture("1", "x", None), picture("2", "y", "film"), picture("3", "x", "film"),
         picture("4", "z", None), picture("5", "w", "other")]
    )  # fmt: skip
    assert ids[0] == ids[1] == ids[2]
    assert len({ids[0], ids[3], ids[4]}) == 3


def test_right_labels_make_it_better_and_wrong_ones_worse():
    labels = np.arange(120) % 2
    swapped = labels.copy()
    swapped[:16] = 1 - swapped[:16]
    names = _put(labels)  # the features are those of the right labels
    root = store.home() / "datasets" / DIGEST
    index = ImageIndex.from_json(root, store.read_json(root / "index.json"))
    wrong = [
        Picture(**{**vars(p), "label": "ab"[swapped[i]]}) for i, p in enumerate(index.pictures)
    ]
    store.write_json(root / "index.json", ImageIndex(root, DIGEST, tuple(wrong)).to_json())
    _check()
    unchanged = probing.answer(DIGEST)
    assert unchanged["difference"]["value"] == 0
    assert unchanged["before"] == unchanged["after"]
    assert (unchanged["pictures"], unchanged["untouched"], unchanged["unseen"]) == (120, None, 0)
    for label in (0, 1):
        some = tuple(names[i] for i in range(16) if labels[i] == label)
        versions.change(DIGEST, Change("relabel", some, (), "ab"[label]))
    better = probing.answer(DIGEST)
    assert better["difference"]["low"] > 0.02
    assert better["after"]["accuracy"] > 0.95
    assert better["untouched"]["pictures"] == 104
    assert {row["name"] for row in better["classes"]} == {"a", "b"}
    assert (
        probe_files.read_answer(DIGEST, probe_files.fingerprint(versions.draft(DIGEST))) == better
    )
    versions.undo(DIGEST)
    assert probe_files.read_answer(DIGEST, probe_files.fingerprint(versions.draft(DIGEST))) is None


def test_deleted_pictures_do_not_count_and_merged_classes_are_told():
    names = _put(np.arange(90) % 3, names="abc")
    _check()
    versions.change(DIGEST, Change("delete", tuple(names[:6])))
    versions.change(DIGEST, Change("merge", (), ("a", "b"), "b"))
    answer = probing.answer(DIGEST)
    assert answer["pictures"] == 84
    assert answer["class_count"] == [3, 2]
    assert answer["untouched"] is None  # nobody named single pictures
    versions.change(DIGEST, Change("split_off", tuple(names[6:14]), (), "new"))
    assert probing.answer(DIGEST)["untouched"]["pictures"] == 76


def test_a_class_that_became_too_small_is_set_aside():
    names = _put(np.array([0] * 20 + [1] * 20 + [2] * 5), names="abc")
    _check()
    versions.change(DIGEST, Change("delete", tuple(names[-2:])))
    assert probing.answer(DIGEST)["pictures"] == 40
    versions.change(DIGEST, Change("delete", (), ("b",)))
    with pytest.raises(DataError, match="at least 2 classes"):
        probing.answer(DIGEST)


def test_what_was_not_checked_is_said():
    _put(np.arange(40) % 2)
    with pytest.raises(DataError, match="Check the data first"):
        probing.answer(DIGEST)
    _check()
    assert probing.answer(DIGEST)["unseen"] == 0
    root = store.home() / "datasets" / DIGEST
    value = store.read_json(root / "index.json")
    for row in value["pictures"][:30]:
        row["sha256"] = hashlib.sha256(row["name"].encode()).hexdigest()
    store.write_json(root / "index.json", value)
    with pytest.raises(DataError, match="Check the data first"):
        probing.answer(DIGEST)


def test_a_new_version_uses_the_check_of_the_one_before():
    names = _put(np.arange(40) % 2)
    (store.home() / "datasets" / DIGEST / "images").mkdir()
    for row in store.read_json(store.home() / "datasets" / DIGEST / "index.json")["pictures"]:
        (store.home() / "datasets" / DIGEST / row["file"]).touch()
    _check()
    versions.change(DIGEST, Change("relabel", tuple(names[:2]), (), "b"))
    new = versions.keep(DIGEST)
    assert new != DIGEST
    assert probe_files.read_source(new) == probe_files.read_source(DIGEST)
    assert probing.answer(new)["pictures"] == 40


@pytest.mark.parametrize("broken", ["", "[]", '{"folder": "x"}', '{"folder": "x", "width": 4,'
                                    ' "columns": [3, 9], "backbone": "n"}'])  # fmt: skip
def test_a_note_that_cannot_be_read_is_as_none(broken):
    _put(np.arange(8) % 2)
    folder = store.home() / "health" / f"{DIGEST}-net-96"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(broken)
    assert probe_files.read_source(DIGEST) is None


def test_a_damaged_note_of_before_is_computed_anew():
    _put(np.arange(40) % 2)
    _check()
    first = probing.answer(DIGEST)
    probe_files.before(DIGEST).write_text('{"facts": 3')
    assert probing.answer(DIGEST)["before"] == first["before"]


def test_the_interval_of_a_difference_holds_the_true_one():
    """In 95 % of draws, also where few pictures differ."""
    rng = np.random.default_rng(0)
    n, held, draws = 60, 0, 2000
    chances = np.array([0.8, 0.05, 0.02, 0.13])  # right in both, gained, lost, wrong in both
    for _ in range(draws):
        kind = rng.choice(4, n, p=chances)
        before, after = (kind == 0) | (kind == 2), (kind == 0) | (kind == 1)
        found = probing.difference(before, after, np.arange(n))
        held += found.low <= 0.03 <= found.high
    assert 0.94 <= held / draws <= 0.99


def test_groups_that_change_together_make_the_interval_wider():
    before = np.arange(200) < 100
    after = before.copy()
    after[100:120] = True
    single = probing.difference(before, after, np.arange(200))
    bursts = probing.difference(before, after, np.arange(200) // 10)
    assert single.value == bursts.value == 0.1
    assert single.low > bursts.low
    assert (single.high - single.low) * 2 < bursts.high - bursts.low


def test_the_command_answers_without_tensorflow(command):
    names = _put(np.arange(40) % 2)
    _check()
    versions.change(DIGEST, Change("relabel", (names[0],), (), "b"))
    status, answer, told = command("probe", DIGEST)
    assert status == 0
    assert answer["pictures"] == 40
    assert "points" in told
    code = (
        f"import sys; from transfer import cli; cli.main(['probe', '{DIGEST}']);"
        " sys.exit(bool({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_what_a_check_found_related_is_left_out_together():
    pictures = [_picture(f"a/{i}.png", f"{i:064x}") for i in range(4)]
    together = probing.groups(pictures, {f"{0:064x}": 7, f"{2:064x}": 7, f"{1:064x}": 9})
    assert together[0] == together[2]
    assert len(set(together.tolist())) == 3


def _picture(name, content):
    return Picture(name, name.split("/")[0], None, f"images/{content}.png", content, 8, 8)
