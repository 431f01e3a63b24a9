"""Names that break tools: too long, of other scripts, with what a terminal obeys, all but equal."""

from pathlib import Path

from tests.transfer.corpus import Made, kind, noise, planted, tarred, zipped


def _both(folder: Path, names: dict[str, str], tar: bool = False) -> Made:
    """An archive with names, each with the one that it is known by afterwards."""
    make, source = (tarred, "pets.tar") if tar else (zipped, "pets.zip")
    pictures = {name: noise(50 + i) for i, name in enumerate(names)}
    return Made(make(folder / source, pictures), accepted=tuple(names.values()))


def _kept(folder: Path, *names: str) -> Made:
    return _both(folder, {name: name for name in names})


@kind
def name_of_three_hundred_letters(folder: Path) -> Made:
    return _kept(folder, f"cat/{'x' * 300}.png")


@kind
def name_of_thirty_thousand_letters(folder: Path) -> Made:
    return _kept(folder, f"cat/{'x' * 30_000}.png")


@kind
def name_as_long_as_a_disk_allows(folder: Path) -> Made:
    name = f"cat/{'x' * 251}.png"
    return Made(planted(folder / "pets", {name: noise(50)}), accepted=(name,))


@kind
def names_of_other_scripts(folder: Path) -> Made:
    names = (
        "cat/\u732b.png",
        "cat/\u043a\u043e\u0448\u043a\u0430.png",
        "cat/\u0e41\u0e21\u0e27.png",
    )
    pictures = {name: noise(50 + i) for i, name in enumerate(names)}
    return Made(planted(folder / "pets", pictures), accepted=names)


@kind
def names_with_emoji(folder: Path) -> Made:
    return _kept(folder, "cat/\U0001f408.png", "cat/\U0001f469\u200d\U0001f4bb.png")


@kind
def names_composed_and_not(folder: Path) -> Made:
    """One name for the eye: Macs write it decomposed, others composed."""
    names = {
        "cat/caf\u00e9.png": "cat/caf\u00e9.png",
        "cat/cafe\u0301.png": "cat/caf\u00e9 (2).png",
    }
    return _both(folder, names)


@kind
def class_composed_and_not(folder: Path) -> Made:
    composed, apart = "k\u00e4tzchen", "ka\u0308tzchen"
    names = {f"{(composed, apart)[i % 2]}/{i}.png": f"{composed}/{i}.png" for i in range(4)}
    return _both(folder, names)


@kind
def name_from_right_to_left(folder: Path) -> Made:
    names = {
        "cat/\u202egnp.exe.png": "cat/\ufffdgnp.exe.png",
        "cat/\u05d7\u05ea\u05d5\u05dc.png": "cat/\u05d7\u05ea\u05d5\u05dc.png",
    }
    return _both(folder, names)


@kind
def name_with_control_characters(folder: Path) -> Made:
    names = {
        "cat/a\x1b[2Jb\x07.png": "cat/a\u241b[2Jb\u2407.png",
        "cat/del\x7f.png": "cat/del\ufffd.png",
    }
    return _both(folder, names)


@kind
def name_with_a_new_line(folder: Path) -> Made:
    return _both(folder, {"cat/a\nb\r.png": "cat/a\u240ab\u240d.png"}, tar=True)


@kind
def name_of_an_old_code_page(folder: Path) -> Made:
    """Bytes that are no UTF-8, on a disk."""
    source = planted(folder / "pets")
    (source / "cat" / b"caf\xe9.png".decode("utf-8", "surrogateescape")).write_bytes(noise(50))
    return Made(source, accepted=("cat/caf\u00e9.png",))


@kind
def name_of_an_old_code_page_in_a_tar(folder: Path) -> Made:
    name = b"cat/caf\xe9.png".decode("utf-8", "surrogateescape")
    return _both(folder, {name: "cat/caf\u00e9.png"}, tar=True)


@kind
def names_differing_only_in_case(folder: Path) -> Made:
    return _kept(folder, "cat/Kitty.png", "cat/kitty.png", "cat/KITTY.PNG")


@kind
def names_that_end_in_dots_and_spaces(folder: Path) -> Made:
    return _kept(folder, "cat/a.png.", "cat/b.png ", "cat/ c.png", "cat/d .png", "cat/e.png..")


@kind
def names_that_windows_reserves(folder: Path) -> Made:
    return _kept(folder, "cat/CON.png", "cat/aux", "cat/nul.jpg", "cat/COM1.png", "cat/a:b?*.png")


@kind
def names_that_look_like_options(folder: Path) -> Made:
    return _kept(
        folder, "cat/-rf.png", "cat/--help.png", "cat/$(id).png", "cat/<b>.png", "cat/%s.png"
    )


@kind
def names_that_are_numbered_already(folder: Path) -> Made:
    names = {"cat/a.png": "cat/a.png", "cat/a (2).png": "cat/a (2).png"}
    return _both(folder, {**names, "cat\\a.png": "cat/a (3).png"})
