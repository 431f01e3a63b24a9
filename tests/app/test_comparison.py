"""What differs between two runs, in words."""

from app import comparison
from app.comparison import Difference
from transfer.changes import Changes
from transfer.config import RunConfig
from transfer.runs import Run


def test_changes_of_pictures_are_named_and_what_is_left_open_is_not(tmp_path):
    one, other, same = (Run(tmp_path / name) for name in ("one", "other", "same"))
    one.start(RunConfig("d", "builtin", 96))
    other.start(RunConfig("d", "builtin", 96, changes=Changes(pca_colour=0.1, mixup=0.2)))
    same.start(RunConfig("d", "builtin", 96, changes=Changes()))
    assert comparison.differences(one, other) == [
        Difference(
            "Pictures changed", "as usual for the way of learning", "pca colour 0.1, mixup 0.2"
        )
    ]
    assert comparison.differences(one, same) == []
