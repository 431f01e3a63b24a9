"""Labels and splits from folders and tables, and what becomes of names from anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer.dataset import layout, names, table
from transfer.dataset.layout import Layout
from transfer.errors import DataError


def labels(found: Layout) -> dict[str, tuple[str, str | None]]:
    return {file.name: (file.label, file.split) for file in found.files}


def reasons(found: Layout) -> dict[str, str]:
    return {item.file: item.reason for item in found.rejected}


def test_one_folder_a_class() -> None:
    found = layout.read(["cat/a.jpg", "dog/b.png"])
    assert labels(found) == {"cat/a.jpg": ("cat", None), "dog/b.png": ("dog", None)}
    assert [file.position for file in found.files] == [0, 1]
    assert not found.rejected


@pytest.mark.parametrize("wrapping", ["data", "my pets", "a/b/c", "images", "Train"])
def test_wrapping_folders_are_taken_off(wrapping: str) -> None:
    paths = [
        f"{wrapping}/train/cat/a.jpg",
        f"{wrapping}/train/dog/b.jpg",
        f"{wrapping}/test/cat/c.jpg",
    ]
    assert labels(layout.read(paths)) == {
        "train/cat/a.jpg": ("cat", "train"),
        "train/dog/b.jpg": ("dog", "train"),
        "test/cat/c.jpg": ("cat", "test"),
    }


def test_a_wrapping_folder_with_loose_files() -> None:
    paths = ["pets/cat/a.jpg", "pets/dog/b.jpg", "pets/README.md", "pets/cover.jpg", "LICENSE"]
    found = layout.read(paths)
    assert set(labels(found)) == {"cat/a.jpg", "dog/b.jpg"}
    assert reasons(found) == {
        "README.md": "it is not a picture",
        "cover.jpg": "it lies outside the class folders, so it has no class",
        "LICENSE": "it is not a picture",
    }


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"), ("Training", "train"), ("TRAIN", "train"), ("val", "val"),
        ("valid", "val"), ("Validation", "val"), ("dev", "val"), ("test", "test"),
        ("Testing", "test"),
    ],
)  # fmt: skip
def test_usual_names_of_splits(folder: str, split: str) -> None:
    paths = ["train/cat/a.jpg", "train/dog/b.jpg", f"{folder}/cat/c.jpg"]
    assert labels(layout.read(paths))[f"{folder}/cat/c.jpg"] == ("cat", split)


def test_a_test_folder_alone() -> None:
    paths = ["test/cat/a.jpg", "test/dog/b.jpg"]
    assert set(labels(layout.read(paths)).values()) == {("cat", "test"), ("dog", "test")}


def test_a_set_named_test_that_has_its_own_splits() -> None:
    paths = ["test/train/cat/a.jpg", "test/train/dog/b.jpg", "test/val/cat/c.jpg"]
    assert set(labels(layout.read(paths)).values()) == {
        ("cat", "train"), ("dog", "train"), ("cat", "val"),
    }  # fmt: skip


def test_what_lies_outside_the_splits_is_rejected() -> None:
    paths = ["train/cat/a.jpg", "train/dog/b.jpg", "test/cat/c.jpg", "more/cat/d.jpg", "test/e.jpg"]
    found = layout.read(paths)
    assert set(labels(found)) == {"train/cat/a.jpg", "train/dog/b.jpg", "test/cat/c.jpg"}
    assert reasons(found) == {
        "more/cat/d.jpg": "it lies outside the train, val and test folders",
        "test/e.jpg": "it lies in 'test' outside the class folders, so it has no class",
    }


def test_train_may_be_a_class_of_vehicles() -> None:
    found = layout.read(["train/a.jpg", "plane/b.jpg", "car/c.jpg"])
    assert labels(found)["train/a.jpg"] == ("train", None)
    assert len(found.files) == 3


def test_test_may_be_a_class_where_there_is_no_training_folder() -> None:
    paths = ["test/old/a.jpg", "blank/b.jpg", "photo/c.jpg"]
    assert labels(layout.read(paths))["test/old/a.jpg"] == ("test", None)


def test_deeper_folders_belong_to_their_class() -> None:
    paths = ["cat/a.jpg", "cat/tabby/old/b.jpg", "dog/c.jpg", "dog/pug/d.jpg"]
    assert {file.label for file in layout.read(paths).files} == {"cat", "dog"}
    paths = ["train/cat/tabby/a.jpg", "train/dog/b.jpg"]
    assert labels(layout.read(paths))["train/cat/tabby/a.jpg"] == ("cat", "train")


def test_one_class_alone_is_a_class() -> None:
    assert labels(layout.read(["cat/a.jpg", "cat/b.jpg"])) == {
        "cat/a.jpg": ("cat", None), "cat/b.jpg": ("cat", None),
    }  # fmt: skip


def test_pictures_without_a_folder_have_no_class() -> None:
    found = layout.read(["a.jpg", "b.jpg"])
    assert not found.files
    assert set(reasons(found).values()) == {"it lies outside the class folders, so it has no class"}


def test_nothing_at_all() -> None:
    assert layout.read([]) == Layout((), ())


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg,cat\nb.jpg,dog\n",
        "file,label\na.jpg,cat\nb.jpg,dog\n",
        "\ufefffilename,class\r\na.jpg,cat\r\nb.jpg,dog\r\n",
        "label,image\ncat,a.jpg\ndog,b.jpg\n",
        "id,path,x,category\n1,a.jpg,0,cat\n2,b.jpg,0,dog\n",
        "a.jpg;cat\nb.jpg;dog\n",
        "a.jpg\tcat\nb.jpg\tdog\n",
        '"a.jpg", "cat"\n\n"b.jpg", "dog"',
        "image_id,breed\na,cat\nb,dog\n",
        "./a.jpg,cat\n.\\b.jpg,dog\n",
        "/home/someone/pictures/a.jpg,cat\n/home/someone/pictures/b.jpg,dog\n",
        "a.jpg,cat\rb.jpg,dog\r",
        "file|label\na.jpg|cat\nb.jpg|dog\n",
        "sep=;\r\nfile;label\r\na.jpg;cat\r\nb.jpg;dog\r\n",
        "File,Label\nA.JPG,cat\nB.JPG,dog\n",
        "url,label\nhttps://example.org/x/a.jpg?size=1,cat\nhttps://example.org/b.jpg,dog\n",
        "image,cat,dog\na.jpg,1,0\nb.jpg,0.0,1.0\n",
        "image,cat,dog,split\na,1,0,\nb,0,1,\n",
    ],
)
def test_tables_as_people_write_them(text: str) -> None:
    found = table.read(["a.jpg", "b.jpg", "t.csv"], text.encode(), "t.csv")
    assert labels(found) == {"a.jpg": ("cat", None), "b.jpg": ("dog", None)}
    assert not found.rejected


@pytest.mark.parametrize("header", ["", "image,label,split\n"])
def test_a_table_with_splits(header: str) -> None:
    text = f"{header}a.jpg,cat,train\nb.jpg,cat,Validation\nc.jpg,dog,test\nd.jpg,dog,\n"
    paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    splits = [file.split for file in table.read(paths, text.encode(), "t.csv").files]
    assert splits == ["train", "val", "test", None]


def test_labels_with_commas_and_letters_of_the_world() -> None:
    paths = ["a.jpg", "b.jpg", "c.jpg"]
    text = 'a.jpg,"red, ripe"\nb.jpg,Käse\nc.jpg,"say ""hi"""\n'
    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-32"):
        found = table.read(paths, text.encode(encoding), "t.csv")
        assert [file.label for file in found.files] == ["red, ripe", "Käse", 'say "hi"']


def test_a_table_below_a_folder_names_files_from_there() -> None:
    paths = ["set/t.csv", "set/images/a.jpg", "set/images/b.jpg", "a.jpg"]
    found = table.read(paths, b"images/a.jpg,cat\nb.jpg,dog\n", "set/t.csv")
    assert labels(found) == {"images/a.jpg": ("cat", None), "images/b.jpg": ("dog", None)}
    assert reasons(found) == {"a.jpg": "'t.csv' does not name it with a class"}


def test_a_table_may_climb_within_the_upload() -> None:
    paths = ["set/about/t.csv", "set/images/a.jpg", "other/images/a.jpg"]
    found = table.read(paths, b"../images/a.jpg,cat\n../../../a.jpg,dog\n", "set/about/t.csv")
    assert [(file.position, file.label) for file in found.files] == [(1, "cat")]
    assert "leads outside the upload" in reasons(found)["../../../a.jpg"]


def test_a_column_for_each_class_has_to_mark_one() -> None:
    """And numbers that happen to be 0 or 1 in a single column are a class."""
    text = "image,cat,dog\na.jpg,1,0\nb.jpg,1,1\nc.jpg,0,0\nd.jpg,0,1\n"
    paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    found = table.read(paths, text.encode(), "t.csv")
    assert labels(found) == {"a.jpg": ("cat", None), "d.jpg": ("dog", None)}
    assert reasons(found)["b.jpg"] == "'t.csv' does not name it with a class"
    found = table.read(paths, b"image,ripe\na.jpg,1\nb.jpg,0\n", "t.csv")
    assert [file.label for file in found.files] == ["1", "0"]


def test_what_a_table_gets_wrong_is_told() -> None:
    paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "x/e.jpg", "y/e.jpg", "notes.txt"]
    text = "a.jpg,cat\na.jpg,cat\na.jpg,dog\nb.jpg,\nlost.jpg,cat\n../d.jpg,cat\ne.jpg,cat\nc.jpg\n"
    found = table.read(paths, text.encode(), "t.csv")
    assert labels(found) == {"a.jpg": ("cat", None)}
    told = [(item.file, item.reason) for item in found.rejected]
    assert ("a.jpg", "'t.csv' gives it two classes, 'cat' and 'dog'; the first counts") in told
    assert ("b.jpg", "'t.csv' gives it no class") in told
    assert ("c.jpg", "'t.csv' gives it no class") in told
    assert ("lost.jpg", "'t.csv' names it, but it is missing") in told
    assert ("../d.jpg", "'t.csv' names it, but that leads outside the upload") in told
    several = "there are several of that name; write its folder before it"
    assert ("e.jpg", f"'t.csv' names it, but {several}") in told
    assert ("d.jpg", "'t.csv' does not name it with a class") in told
    assert ("notes.txt", "it is not a picture") in told


def test_ten_thousand_rows() -> None:
    paths = [f"images/{i:05d}.jpg" for i in range(10_000)]
    text = "file,label\n" + "".join(f"{path},class {i % 7}\n" for i, path in enumerate(paths))
    found = table.read(paths, text.encode(), "t.csv")
    assert len(found.files) == 10_000
    assert len({file.label for file in found.files}) == 7


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\0\0\0", b"\xff\xfe", bytes(range(256))])
def test_tables_of_rubbish_name_nothing(data: bytes) -> None:
    assert not table.read(["a.jpg"], data, "t.csv").files


def test_a_table_that_is_no_csv_is_an_error() -> None:
    with pytest.raises(DataError, match="cannot be read as a CSV"):
        table.read(["a.jpg"], b'a.jpg,"' + b"x" * 200_000, "t.csv")


@settings(deadline=None, derandomize=True)
@given(st.lists(st.text(min_size=1), max_size=8), st.binary(max_size=200))
def test_no_names_and_no_bytes_break_it(paths: list[str], data: bytes) -> None:
    taken: dict[str, int] = {}
    cleaned = [names.unique(names.clean(path), taken) for path in paths]
    cleaned = [path for path in cleaned if path not in ("/", ".", "..", "//")]
    found = layout.read(cleaned)
    assert len(found.files) + len(found.rejected) == len(cleaned)
    table.read(cleaned, data, "t.csv")


@settings(deadline=None, derandomize=True)
@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_clean_names_can_be_written_and_shown(name: str) -> None:
    for cleaned in (names.clean(name), names.shown(name)):
        cleaned.encode("utf-8")
        assert not set(cleaned) & {chr(i) for i in (*range(32), 127, *range(128, 160), 0x202E)}
    assert names.clean(names.clean(name)) == names.clean(name)
    assert len(names.shown(name)) <= 300


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("cat\\a.jpg", "cat/a.jpg"),
        ("./cat//a.jpg", "cat/a.jpg"),
        ("cafe\u0301/a.jpg", "caf\u00e9/a.jpg"),
        ("\u732b\u3000\U0001f408/a.jpg", "\u732b\u3000\U0001f408/a.jpg"),
        ("a\nb\x1b[31m.jpg", "a\u240ab\u241b[31m.jpg"),
        ("gpj.\u202etac.exe", "gpj.\ufffdtac.exe"),
        (b"caf\xe9/a.jpg".decode("utf-8", "surrogateescape"), "caf\u00e9/a.jpg"),
    ],
)
def test_names_are_cleaned(name: str, cleaned: str) -> None:
    assert names.clean(name) == cleaned


@pytest.mark.parametrize(
    "name", ["/a.jpg", "\\a.jpg", "../a.jpg", "a/../../b.jpg", "a\\..\\b.jpg", "C:\\a.jpg", "c:/a"]
)
def test_names_that_lead_outside(name: str) -> None:
    assert names.leads_outside(name)


@pytest.mark.parametrize("name", ["a/b.jpg", "a..b/c.jpg", "12:30/a.jpg", "./a.jpg", "...jpg"])
def test_names_that_do_not_lead_outside(name: str) -> None:
    assert not names.leads_outside(name)


def test_unique_names() -> None:
    taken: dict[str, int] = {}
    found = [names.unique(name, taken) for name in ("c/a.jpg", "c/a.jpg", "c/a (2).jpg", "c/a.jpg")]
    assert found == ["c/a.jpg", "c/a (2).jpg", "c/a (2) (2).jpg", "c/a (3).jpg"]


def test_very_many_equal_names() -> None:
    taken: dict[str, int] = {}
    assert len({names.unique("c/a.jpg", taken) for _ in range(50_000)}) == 50_000


def test_loose_pictures_get_the_class_that_was_said():
    paths = ["1.jpg", "notes.txt", "cat/1.jpg", "dog/2.jpg"]
    found = layout.read(paths, loose="cat")
    named = {file.position: (file.name, file.label) for file in found.files}
    # One is called like that already: the other gets a number.
    assert named == {0: ("cat/1 (2).jpg", "cat"), 2: ("cat/1.jpg", "cat"), 3: ("dog/2.jpg", "dog")}
    assert {item.file for item in found.rejected} == {"notes.txt"}


def test_a_class_for_loose_pictures_is_not_that_of_those_in_folders():
    found = layout.read(["cat/1.jpg", "cat/2.jpg"], loose="dog")
    assert {file.label for file in found.files} == {"cat"}
    found = layout.read(["train/cat/1.jpg", "train/2.jpg", "3.jpg"], loose="dog")
    assert [(file.label, file.split) for file in found.files] == [("cat", "train"), ("dog", None)]
