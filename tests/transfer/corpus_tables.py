"""Bad tables: CSVs as people, spreadsheets and scripts write them."""

from collections.abc import Mapping
from pathlib import Path

from tests.transfer.corpus import Made, kind, noise, slow_kind

NAMES = tuple(f"{i}.png" for i in range(8))
LABELS = {name: ("cat", "dog")[i % 2] for i, name in enumerate(NAMES)}
MISSING = "'labels.csv' names it, but it is missing"


def _made(
    folder: Path,
    table: str | bytes,
    rejected: Mapping[str, str] | None = None,
    labels: Mapping[str, str] = LABELS,
    told: tuple[str, ...] = (),
) -> Made:
    """Eight pictures in one folder, and a table that says what they are."""
    source = folder / "pets"
    source.mkdir()
    for i, name in enumerate(NAMES):
        (source / name).write_bytes(noise(i))
    (source / "labels.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    return Made(source, rejected=rejected or {}, labels=labels, good=NAMES, told=told)


def _rows(delimiter: str = ",", title: str = "file,label", end: str = "\n") -> str:
    rows = [title.replace(",", delimiter)] if title else []
    rows += [f"{name}{delimiter}{label}" for name, label in LABELS.items()]
    return end.join(rows) + end


@kind
def table_of_a_million_lines(folder: Path) -> Made:
    lost = "".join(f"lost-{i:07d}.png,cat\n" for i in range(1_000_000))
    shown = {f"lost-{i:07d}.png": MISSING for i in range(10_000)}
    shown["labels.csv"] = "990,000 more of its rows name no picture"
    return _made(folder, _rows() + lost, rejected=shown)


@slow_kind
def table_of_a_million_lines_with_pictures(folder: Path) -> Made:
    return _made(folder, _rows() + "".join(f"{i % 8}.png,{('cat', 'dog')[i % 2]}\n"
                                           for i in range(1_000_000)))  # fmt: skip


@kind
def table_that_is_too_large(folder: Path) -> Made:
    made = _made(folder, _rows())
    with (made.source / "labels.csv").open("r+b") as file:
        file.truncate(200 * 1024**2)
    return Made(made.source / "labels.csv", error="larger than")


@kind
def table_of_one_endless_line(folder: Path) -> Made:
    made = _made(folder, "x" * 3_000_000)
    return Made(made.source / "labels.csv", error="cannot be read as a CSV")


@kind
def table_with_unknown_files(folder: Path) -> Made:
    outside = "'labels.csv' names it, but that leads outside the upload"
    lost = {"lost.png": MISSING, "../0.png": outside, "/etc/passwd": MISSING}
    return _made(folder, _rows() + "".join(f"{name},cat\n" for name in lost), rejected=lost)


@kind
def table_with_commas_and_quotes(folder: Path) -> Made:
    labels = {
        **LABELS,
        **dict.fromkeys(NAMES[:4], 'red, "ripe"'),
        **dict.fromkeys(NAMES[4:], "x;y"),
    }
    rows = [f'"{name}","{label.replace(chr(34), chr(34) * 2)}"' for name, label in labels.items()]
    return _made(folder, "file,label\n" + "\n".join(rows), labels=labels)


@kind
def table_with_a_lone_quote(folder: Path) -> Made:
    """Read by the rules, all that follows it would be one cell."""
    return _made(folder, _rows().replace("2.png,cat", '2.png,"cat'))


@kind
def table_with_semicolons(folder: Path) -> Made:
    return _made(folder, _rows(";"))


@kind
def table_with_tabs(folder: Path) -> Made:
    return _made(folder, _rows("\t"))


@kind
def table_of_an_old_code_page(folder: Path) -> Made:
    labels = {
        name: {"cat": "K\u00e4tzchen", "dog": "H\u00fcndchen"}[label]
        for name, label in LABELS.items()
    }
    text = _rows().replace("cat", "K\u00e4tzchen").replace("dog", "H\u00fcndchen")
    return _made(folder, text.encode("cp1252"), labels=labels)


@kind
def table_of_16_bit_letters(folder: Path) -> Made:
    return _made(folder, _rows().encode("utf-16"))


@kind
def table_of_16_bit_letters_that_does_not_say_so(folder: Path) -> Made:
    return _made(folder, _rows().encode("utf-16-le"))


@kind
def table_with_a_byte_order_mark(folder: Path) -> Made:
    return _made(folder, _rows().encode("utf-8-sig"))


@kind
def table_without_titles(folder: Path) -> Made:
    return _made(folder, _rows(title=""))


@kind
def table_with_titles_in_another_language(folder: Path) -> Made:
    return _made(folder, _rows(title="Datei,Klasse"), rejected={"Datei": MISSING})


@kind
def table_with_old_line_ends(folder: Path) -> Made:
    return _made(folder, _rows(end="\r"))


@kind
def table_with_rows_twice(folder: Path) -> Made:
    return _made(folder, _rows() + _rows(title=""))


@kind
def table_with_two_classes_for_one_file(folder: Path) -> Made:
    reason = "gives it two classes, 'cat' and 'dog'; the first counts"
    return _made(folder, _rows() + "0.png,dog\n", rejected={"0.png": reason})


@kind
def table_with_an_empty_class(folder: Path) -> Made:
    made = _made(folder, _rows() + "8.png,\n9.png,  \n10.png\n")
    names = {f"{i}.png": "'labels.csv' gives it no class" for i in (8, 9, 10)}
    for i, name in enumerate(names):
        (made.source / name).write_bytes(noise(50 + i))
    return Made(made.source, rejected=names, labels=LABELS, good=NAMES)


@kind
def table_that_forgets_a_picture(folder: Path) -> Made:
    made = _made(folder, _rows())
    (made.source / "new.png").write_bytes(noise(50))
    reason = {"new.png": "'labels.csv' does not name it with a class"}
    return Made(made.source, rejected=reason, labels=LABELS, good=NAMES)


@kind
def table_with_zero_bytes(folder: Path) -> Made:
    return _made(folder, _rows().encode() + bytes(500) + b"\n")


@kind
def table_of_titles_only(folder: Path) -> Made:
    made = _made(folder, "file,label\n")
    return Made(made.source / "labels.csv", error="does not name it with a class")


@kind
def table_that_is_empty(folder: Path) -> Made:
    made = _made(folder, b"")
    return Made(made.source / "labels.csv", error="does not name it with a class")


@kind
def table_that_is_a_spreadsheet(folder: Path) -> Made:
    made = _made(folder, b"PK\x03\x04" + bytes(range(256)) * 40)
    return Made(made.source / "labels.csv", error="Save it again from a spreadsheet as CSV")


@kind
def table_that_is_another_table(folder: Path) -> Made:
    """A CSV that has nothing to do with the pictures does not disturb."""
    made = _made(folder, "day,sales\nMonday,7\n")
    for name, label in LABELS.items():
        (made.source / label).mkdir(exist_ok=True)
        (made.source / name).rename(made.source / label / name)
    names = tuple(f"{label}/{name}" for name, label in LABELS.items())
    return Made(made.source, rejected={"labels.csv": "names 0 of 8 pictures"}, good=names)


@kind
def table_of_words_apart(folder: Path) -> Made:
    """Blanks are no delimiter: the folders say the class, and there is one only."""
    made = _made(folder, _rows(" "))
    (made.source / "all").mkdir()
    for name in NAMES:
        (made.source / name).rename(made.source / "all" / name)
    return Made(made.source, error="'labels.csv': this table names 0 of 8 pictures")


@kind
def table_with_upright_lines(folder: Path) -> Made:
    return _made(folder, _rows("|"))


@kind
def table_that_says_its_delimiter(folder: Path) -> Made:
    """As Excel does where a comma is in the numbers."""
    return _made(folder, "sep=;\r\n" + _rows(";", end="\r\n"))


@kind
def table_of_32_bit_letters(folder: Path) -> Made:
    return _made(folder, _rows().encode("utf-32"))


@kind
def table_in_upper_case(folder: Path) -> Made:
    return _made(folder, _rows().replace(".png", ".PNG"))


@kind
def table_of_addresses(folder: Path) -> Made:
    rows = [f"https://example.org/{name}?x=1,{label}" for name, label in LABELS.items()]
    return _made(folder, "url,label\n" + "\n".join(rows))


@kind
def table_with_a_column_for_each_class(folder: Path) -> Made:
    rows = [f"{name},{label == 'cat':d},{label == 'dog':d}" for name, label in LABELS.items()]
    return _made(folder, "image,cat,dog\n" + "\n".join(rows))


@kind
def two_tables(folder: Path) -> Made:
    made = _made(folder, _rows())
    (made.source / "test.csv").write_text("file,label\n0.png,dog\n")
    reason = {"test.csv": "'labels.csv' names more pictures, and only one table counts"}
    return Made(made.source, rejected=reason, labels=LABELS, good=NAMES)
