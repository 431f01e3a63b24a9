"""Bad folders: what is no file, what may not be read, what changes, classes that are none."""

import os
import socket
from pathlib import Path

import pytest

from tests.transfer.corpus import Made, kind, noise, planted, zipped

LINK, DEVICE = "it is a link", "it is a device"


@kind
def links_in_a_folder(folder: Path) -> Made:
    source = planted(folder / "pets")
    (folder / "secret").mkdir()
    (folder / "secret" / "s.png").write_bytes(noise(50))
    (source / "cat" / "link.png").symlink_to(folder / "secret" / "s.png")
    (source / "cat" / "gone.png").symlink_to(folder / "nowhere")
    (source / "cat" / "circle").symlink_to(source)
    (source / "fox").symlink_to(folder / "secret")
    names = ("cat/link.png", "cat/gone.png", "cat/circle", "fox")
    return Made(source, rejected=dict.fromkeys(names, LINK))


@kind
def hard_link_in_a_folder(folder: Path) -> Made:
    """Hard links cannot be told from files: they are files."""
    source = planted(folder / "pets")
    (source / "cat" / "again.png").hardlink_to(source / "cat" / "0.png")
    return Made(source, accepted=("cat/again.png",))


@kind
def pipe_and_socket_in_a_folder(folder: Path) -> Made:
    source = planted(folder / "pets")
    os.mkfifo(source / "cat" / "pipe.png")
    here = Path.cwd()
    os.chdir(source / "cat")  # a socket's path may have 107 letters at most
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("plug.png")
    os.chdir(here)
    return Made(source, rejected={"cat/pipe.png": DEVICE, "cat/plug.png": DEVICE})


@kind
def pipe_instead_of_an_archive(folder: Path) -> Made:
    os.mkfifo(folder / "pets.zip")
    return Made(folder / "pets.zip", error="neither a file nor a folder")


@kind
def folder_that_may_not_be_read(folder: Path) -> Made:
    source = planted(folder / "pets", {"fox/0.png": noise(50), "cat/locked.png": noise(51)})
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (source / "fox").chmod(0)
    (source / "cat" / "locked.png").chmod(0)
    reason = "it cannot be read (permission denied)"
    return Made(source, rejected={"fox": reason, "cat/locked.png": reason})


@kind
def file_that_grows(folder: Path) -> Made:
    source = planted(folder / "pets", {"cat/log.png": noise(50)})

    def grow() -> None:
        with (source / "cat" / "log.png").open("ab") as file:
            file.write(bytes(1_000))

    return Made(source, either=("cat/log.png",), during=grow)


@kind
def file_that_vanishes(folder: Path) -> Made:
    source = planted(folder / "pets", {"cat/temporary.png": noise(50)})

    def come_and_go() -> None:
        path = source / "cat" / "temporary.png"
        if path.exists():
            path.unlink()
        else:
            path.write_bytes(noise(50))

    (source / "cat" / "z-stays.png").write_bytes(noise(51))
    return Made(
        source, accepted=("cat/z-stays.png",), either=("cat/temporary.png",), during=come_and_go
    )


@kind
def folder_deeper_than_fifty(folder: Path) -> Made:
    name = f"cat/{'d/' * 60}deep.png"
    return Made(planted(folder / "pets", {name: noise(50)}), accepted=(name,))


@kind
def folder_deeper_than_a_path_may_be(folder: Path) -> Made:
    """No program can open what lies there by its whole path."""
    source = planted(folder / "pets")
    inner, here = source / "cat", Path.cwd()
    os.chdir(inner)
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    Path("deep.png").write_bytes(noise(50))
    os.chdir(here)
    length, name = len(str(inner)), "cat"
    while length + 201 <= 4095:
        length, name = length + 201, f"{name}/{'d' * 200}"
    shown = name if len(name) <= 300 else f"{name[:200]}...{name[-80:]}"
    return Made(source, rejected={shown: "it cannot be read (file name too long)"})


@kind
def folders_deeper_than_three_thousand_in_a_zip(folder: Path) -> Made:
    name = f"cat/{'d/' * 3000}deep.png"
    return Made(zipped(folder / "pets.zip", {name: noise(50)}), accepted=(name,))


@kind
def hidden_and_system_files(folder: Path) -> Made:
    names = ("__MACOSX/cat/._0.png", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", ".git/x")
    source = zipped(folder / "pets.zip", dict.fromkeys(names, b"x"))
    return Made(source, told=("5 hidden or system files were passed over.",))


@kind
def empty_class(folder: Path) -> Made:
    source = planted(folder / "pets")
    (source / "fox").mkdir()
    return Made(source, told=("The folder 'fox' is empty",))


@kind
def empty_class_in_a_zip(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {"cat/": b"", "fox/": b"", "fox/red/": b""})
    return Made(source, told=("The folder 'fox' is empty",))


@kind
def class_without_a_picture_that_can_be_read(folder: Path) -> Made:
    source = planted(folder / "pets", {"fox/0.png": b"", "fox/1.png": b"no picture"})
    reasons = {"fox/0.png": "it is empty", "fox/1.png": "holds none that can be read"}
    told = "Class 'fox' has no picture that can be used"
    return Made(source, rejected=reasons, told=(told,))


@kind
def class_of_one_picture(folder: Path) -> Made:
    source = planted(folder / "pets", {"fox/0.png": noise(50)})
    return Made(source, told=("Class 'fox' has 1 picture; add at least 3 more",))


@kind
def classes_equal_up_to_case(folder: Path) -> Made:
    names = tuple(f"Cat/{i}.png" for i in range(4))
    extra = {name: noise(60 + i) for i, name in enumerate(names)}
    told = "differ only in upper and lower case"
    return Made(planted(folder / "pets", extra), accepted=names, told=(told,))


@kind
def classes_equal_up_to_the_form_of_their_letters(folder: Path) -> Made:
    """Wide letters, and a ligature."""
    names = ("\uff23\uff21\uff34/0.png", "CAT/0.png")
    names = tuple(name.replace("0", str(i)) for name in names for i in range(4))
    extra = {name: noise(60 + i) for i, name in enumerate(names)}
    told = "differ only in how their letters are written"
    return Made(planted(folder / "pets", extra), accepted=names, told=(told,))


@kind
def class_that_is_a_link(folder: Path) -> Made:
    source = planted(folder / "pets")
    (source / "dog").rename(folder / "dog")
    (source / "dog").symlink_to(folder / "dog")
    return Made(source, error="for example 'dog': it is a link")


@kind
def classes_equal_up_to_spaces(folder: Path) -> Made:
    """A person cannot see the difference: they are one class."""
    names = tuple(f"cat /{i}.png" for i in range(4))
    source = zipped(folder / "pets.zip", {name: noise(60 + i) for i, name in enumerate(names)})
    return Made(source, accepted=names, labels=dict.fromkeys(names, "cat"))


@kind
def class_of_a_blank_name(folder: Path) -> Made:
    source = zipped(folder / "pets.zip", {" /0.png": noise(60), "\u200b/1.png": noise(61)})
    reason = "its folder has no name that can be seen"
    return Made(source, rejected={" /0.png": reason, "\u200b/1.png": reason})


@kind
def one_class_only(folder: Path) -> Made:
    (folder / "pets" / "cat").mkdir(parents=True)
    for i in range(9):
        (folder / "pets" / "cat" / f"{i}.png").write_bytes(noise(i))
    return Made(folder / "pets", error="Expected at least 2 classes")


@kind
def pictures_without_a_class(folder: Path) -> Made:
    (folder / "pets").mkdir()
    for i in range(9):
        (folder / "pets" / f"{i}.png").write_bytes(noise(i))
    return Made(folder / "pets", error="it lies outside the class folders")


@kind
def empty_folder(folder: Path) -> Made:
    (folder / "pets").mkdir()
    return Made(folder / "pets", error="It is empty: no picture and no other file")


@kind
def nothing_but_damaged_pictures(folder: Path) -> Made:
    for i in range(9):
        path = folder / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(i)[:100])
    return Made(folder / "pets", error="9 files were left out")
