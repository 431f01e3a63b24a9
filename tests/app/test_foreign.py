"""What comes from elsewhere is looked through: nothing that this app does not write gets in.

Each file here has sums that fit, as somebody would send it who means harm.
"""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from app import bundles, foreign, workshop
from tests.app import advices, run_files
from tests.app.conftest import Store
from tests.app.run_files import contents, refused, resealed
from transfer import catalog, store
from transfer.runs import Run

Edit = Callable[[Any], object]
Refusal = Callable[[dict[str, bytes | None]], str]


@pytest.fixture(scope="session")
def bundle(learned: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the finished run; do not write into it."""
    return run_files.packed(learned, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def inside(bundle: Path) -> dict[str, bytes]:
    return contents(bundle)


@pytest.fixture
def refusal(bundle: Path, tmp_path: Path) -> Refusal:
    """Change contents, see that it is refused and leaves nothing, and return the sentence."""
    return lambda change: refused(resealed(bundle, tmp_path / "bad.zip", change))


def edited(inside: dict[str, bytes], name: str, edit: Edit) -> dict[str, bytes | None]:
    """One of the JSON files, changed in place."""
    value = json.loads(inside[name])
    edit(value)
    return {name: json.dumps(value).encode()}


def repacked(data: bytes, change: Mapping[str, bytes | None], compression: int = 0) -> bytes:
    """A zip with other contents."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", compression) as archive:
        for name, value in {**held, **change}.items():
            if value is not None:
                archive.writestr(name, value)
    return result.getvalue()


def with_graph(inside: dict[str, bytes], edit: Edit) -> dict[str, bytes | None]:
    """The model with a changed config.json."""
    with zipfile.ZipFile(io.BytesIO(inside["run/model.keras"])) as archive:
        config = json.loads(archive.read("config.json"))
    edit(config)
    data = repacked(inside["run/model.keras"], {"config.json": json.dumps(config).encode()})
    return {"run/model.keras": data}


def saved(array: np.ndarray) -> bytes:
    result = io.BytesIO()
    np.save(result, array, allow_pickle=True)
    return result.getvalue()


def test_an_honest_file_with_new_sums_comes_in(bundle, tmp_path):
    run_id = bundles.bring_in(resealed(bundle, tmp_path / "same.zip", {}))
    assert workshop.run(run_id).finished


class TestModel:
    @pytest.mark.parametrize(
        ("module", "name"),
        [("keras.layers", "Lambda"), ("keras.layers", "TFSMLayer"), ("keras", "Model"),
         ("keras.layers", "StringLookup"), ("keras.layers", "TorchModuleWrapper"),
         ("keras", "Functional"), ("keras.models", "Model"),
         ("keras.src.layers.core.lambda_layer", "Lambda"), ("os", "system"), ("builtins", "dict"),
         ("keras.layers", "InputLayer.__init__"), (None, "Dense"), ("keras.layers", None),
         ("keras.utils", "get_file"), ("mypackage", "Evil"), ("builtins", "function"),
         ("keras.layers", ["Dense"])],
    )  # fmt: skip
    def test_a_layer_of_another_class(self, refusal, inside, module, name):
        def edit(config: dict[str, Any]) -> None:
            layer = config["config"]["layers"][-1]
            layer["module"], layer["class_name"] = module, name

        said = refusal(with_graph(inside, edit))
        assert "which none of our models does and which may run a program" in said

    def test_a_lambda_deep_inside(self, refusal, inside):
        code = {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}}

        def edit(config: dict[str, Any]) -> None:
            nested = config["config"]["layers"]
            while nested[-1]["class_name"] == "Functional":
                nested = nested[-1]["config"]["layers"]
            nested[-1]["config"]["activation"] = [{"anything": [code]}]

        assert "None.__lambda__" in refusal(with_graph(inside, edit))

    def test_a_function_by_name(self, refusal, inside):
        function = {
            "module": "builtins", "class_name": "function", "config": "eval",
            "registered_name": "eval",
        }  # fmt: skip
        said = refusal(with_graph(inside, lambda config: config.update(build_config=function)))
        assert "builtins.function" in said

    def test_a_known_class_under_a_registered_name(self, refusal, inside):
        def edit(config: dict[str, Any]) -> None:
            config["config"]["layers"][-1]["registered_name"] = "package>Evil"

        assert "keras.src.models.functional.Functional" in refusal(with_graph(inside, edit))

    def test_a_model_of_another_kind(self, refusal, inside):
        for graph in ([], None, 1, "keras", {}):
            data = {"config.json": json.dumps(graph).encode()}
            change = {"run/model.keras": repacked(inside["run/model.keras"], data)}
            assert "its model is of another kind" in refusal(change)

    @pytest.mark.parametrize("name", ["assets/vocabulary.txt", "evil.py", "_layer_checkpoint"])
    def test_more_than_a_model(self, refusal, inside, name):
        change = {"run/model.keras": repacked(inside["run/model.keras"], {name: b"x"})}
        assert "other files than a model" in refusal(change)

    def test_less_than_a_model(self, refusal, inside):
        change = {"run/model.keras": repacked(inside["run/model.keras"], {"config.json": None})}
        assert "other files than a model" in refusal(change)

    def test_a_packed_model(self, refusal, inside):
        data = repacked(inside["run/model.keras"], {}, zipfile.ZIP_DEFLATED)
        assert "other files than a model" in refusal({"run/model.keras": data})

    @pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"\x89HDF\r\n\x1a\n", pickle.dumps(1)])
    def test_no_model(self, refusal, data):
        assert "its model cannot be read" in refusal({"run/model.keras": data})

    @pytest.mark.parametrize("graph", [b"{", b"\xff", b"[" * 100_000, b'"\\ud800"'])
    def test_a_graph_that_is_no_json(self, refusal, inside, graph):
        data = repacked(inside["run/model.keras"], {"config.json": graph})
        assert "'config.json' is not JSON" in refusal({"run/model.keras": data})


class TestAnswers:
    def change(self, inside: dict[str, bytes], **arrays: bytes | None) -> dict[str, bytes | None]:
        change = {f"{name}.npy": data for name, data in arrays.items()}
        return {"run/answers.npz": repacked(inside["run/answers.npz"], change)}

    def test_pickled_objects(self, refusal, inside):
        objects = saved(np.array([{"a": 1}], dtype=object))
        said = refusal(self.change(inside, test_positions=objects))
        assert "its answers do not fit" in said

    def test_a_bare_pickle(self, refusal, inside):
        said = refusal(self.change(inside, test_positions=pickle.dumps([1])))
        assert "its answers cannot be read" in said
        assert "its answers cannot be read" in refusal({"run/answers.npz": pickle.dumps([1])})

    def test_a_head_that_promises_more(self, refusal, inside):
        data = saved(np.zeros(10**6, np.int64))[:1000]
        assert "do not fit" in refusal(self.change(inside, test_positions=data))

    @pytest.mark.parametrize(
        "array",
        [np.zeros((11, 7), np.float32), np.zeros((11, 3), np.float64), np.zeros(11, np.float32),
         np.zeros((11, 3, 1), np.float32), np.zeros((11, 3), "S4")],
    )  # fmt: skip
    def test_of_another_shape_or_kind(self, refusal, inside, array):
        said = refusal(self.change(inside, test_probabilities=saved(array)))
        assert "do not fit" in said

    @pytest.mark.parametrize("position", [-1, 72, 2**62])
    def test_to_pictures_that_are_not_there(self, refusal, inside, position):
        with np.load(io.BytesIO(inside["run/answers.npz"])) as arrays:
            positions = arrays["test_positions"].copy()
        positions[0] = position
        assert "to other pictures" in refusal(self.change(inside, test_positions=saved(positions)))

    def test_fewer_than_are_counted(self, refusal, inside):
        with np.load(io.BytesIO(inside["run/answers.npz"])) as arrays:
            fewer = {name: saved(array[:-1]) for name, array in arrays.items()}
        assert "to other pictures" in refusal(self.change(inside, **fewer))

    def test_something_else(self, refusal, inside):
        assert "something else" in refusal(self.change(inside, train_positions=saved(np.zeros(1))))

    def test_a_newer_head(self, refusal, inside):
        data = bytearray(saved(np.zeros(11, np.int64)))
        data[6] = 3
        assert "of a new kind" in refusal(self.change(inside, test_positions=bytes(data)))


def _set(*keys: str | int, to: Any) -> Edit:
    """An edit that puts a value somewhere in."""

    def edit(value: Any) -> None:
        for key in keys[:-1]:
            value = value[key]
        value[keys[-1]] = to

    return edit


class TestRun:
    @pytest.mark.parametrize(
        "edit",
        [_set("epochs", to="20"), _set("epochs", to=0), _set("seed", to=True),
         _set("budget", to=[]), _set("backbone", to=7), _set("backbone", to=["builtin"]),
         _set("backbone", to="Other"),
         _set("strategy", to=None), _set("learning_rate", to=float("nan")),
         _set("image_size", to=10**400), _set("horizontal_flip", to=1), _set("new", to=1),
         _set("recipe", to=7), _set("recipe", to={"new": 1}), _set("recipe", "l1", to="0"),
         _set("recipe", "optimizer", to=["sgd"]), _set("recipe", "drops", to=True),
         _set("recipe", "early_stopping", to=1), _set("recipe", "frozen_level", to=10**400),
         _set("changes", to=None), _set("changes", to=[]), _set("changes", to={"new": 1}),
         _set("changes", to={"mixup": "0.2"}), _set("changes", to={"upside_down": 1}),
         _set("changes", to={"rotation": 1000}), _set("changes", to={"level": ["light"]}),
         _set("budget", to=float("inf")), lambda value: value.clear()],
    )  # fmt: skip
    def test_settings_that_are_none(self, refusal, inside, edit):
        refusal(edited(inside, "run/config.json", edit))

    def test_settings_for_another_data_set(self, refusal, inside):
        edit = _set("dataset", to="0" * 32)
        assert "data set is another" in refusal(edited(inside, "run/config.json", edit))

    @pytest.mark.parametrize(
        "edit",
        [_set("classes", to=["a", "b", "c"]), _set("classes", to=[]), _set("seconds", to="x"),
         _set("seconds", to=float("inf")), _set("shipped", to="none"), _set("image_size", to=64),
         _set("backbone", to="VGG16"), _set("requested", to="finetune_few"), _set("test", to={}),
         _set("test", to=None), _set("test_report", to=None), _set("candidates", to={}),
         _set("splits", to={}), _set("validation", "low", to=2), _set("test", "high", to=0.0),
         _set("test", "accuracy", to=-0.1), _set("test_report", "confusion", to=[[1]]),
         _set("test_report", "confusion", 0, to=[]), _set("test_report", "n", to=10**9),
         _set("test_report", "confusion", 0, 0, to=-5),
         _set("test_report", "confusion", 0, 0, to=10**30),
         _set("test_report", "per_class", to={}), _set("warnings", to=[1]),
         _set("candidates", "linear_top", "loss", to="<b>"), lambda value: value.clear()],
    )  # fmt: skip
    def test_a_result_that_is_none(self, refusal, inside, edit):
        refusal(edited(inside, "run/result.json", edit))

    @pytest.mark.parametrize(
        "edit",
        [_set("comparison", to=1), _set("comparison", to=[1]), _set("advised", to="auto"),
         _set("comparison", 0, "strategy", to="<b>"), _set("comparison", 0, "test", to={}),
         _set("comparison", 0, "test", "high", to=2.0), _set("comparison", 0, "note", to=1),
         _set("comparison", 0, "seconds", to="x")],
    )  # fmt: skip
    def test_a_comparison_that_is_none(self, refusal, inside, edit):
        def compared(value: Any) -> None:
            share = dict(value["test"])
            one = {"validation": share, "test": share, "seconds": 1.0, "note": None}
            names = ("linear_top", "finetune_few")
            value["comparison"] = [{**one, "strategy": name, "test": dict(share)} for name in names]
            value["advised"] = "linear_top"
            edit(value)

        refusal(edited(inside, "run/result.json", compared))

    @pytest.mark.parametrize("edit", [_set("strategy", to="all"), lambda value: value.clear()])
    def test_an_advice_that_is_none(self, refusal, edit):
        value = advices.advice()
        edit(value)
        refusal({"run/advice.json": json.dumps(value).encode()})

    def test_an_advice_comes_along(self, bundle, tmp_path):
        value = advices.advice("different", "lots")
        change = {"run/advice.json": json.dumps(value).encode()}
        run = workshop.run(bundles.bring_in(resealed(bundle, tmp_path / "x.zip", change)))
        assert run.read("advice") == value

    @pytest.mark.parametrize(
        "edit",
        [_set("train", to=[]), _set("val", to=[]), _set("train", 0, to=72), _set("test", 0, to=-1),
         _set("test", 0, to=1.5), _set("test", 0, to=True), _set("warnings", to=None),
         _set("left_out", to=None)],
    )  # fmt: skip
    def test_a_split_that_is_none(self, refusal, inside, edit):
        refusal(edited(inside, "run/split.json", edit))

    @pytest.mark.parametrize(
        "line",
        [b"x", b"[]", b"{}", b'{"time": 1, "event": 1}', b'{"time": 1, "event": "epoch"}',
         b'{"time": 1, "event": "stages", "weights": [1]}',
         b'{"time": 1, "event": "search", "strength": "1"}', b'{"time": "1", "event": "x"}',
         b'{"time": 1, "event": "phase", "phase": []}', b'{"time": 1, "event": "\\ud800"}'],
    )  # fmt: skip
    def test_a_diary_that_is_none(self, refusal, inside, line):
        said = refusal({"run/events.jsonl": inside["run/events.jsonl"] + line + b"\n"})
        assert "'events.jsonl'" in said

    @pytest.mark.parametrize("name", ["history", "versions", "probe", "about"])
    def test_other_files_that_are_none(self, refusal, name):
        assert f"'{name}.json'" in refusal({f"run/{name}.json": b"1"})

    def test_names_are_made_harmless(self, bundle, inside, tmp_path):
        name = "\u202eA\0\n" + "x" * 200
        change = {
            **edited(inside, "run/about.json", lambda value: value.update(name=name, created=-1e9)),
            **edited(inside, "dataset/about.json", lambda value: value.update(name=["<b>"])),
        }
        run = workshop.run(bundles.bring_in(resealed(bundle, tmp_path / "x.zip", change)))
        assert run.about()["name"] == "\ufffdA\u2400 " + "x" * 76
        assert run.about()["created"] >= 0
        about = store.read_json(store.home() / "datasets" / run.config().dataset / "about.json")
        assert about["name"] == "['<b>']"

    def test_what_a_run_may_lack(self, bundle, inside, tmp_path):
        more = ("about", "history", "versions", "probe")
        change: dict[str, bytes | None] = {f"run/{name}.json": None for name in more}
        change |= {"run/events.jsonl": None, "run/answers.npz": None, "dataset/about.json": None}
        run = workshop.run(bundles.bring_in(resealed(bundle, tmp_path / "x.zip", change)))
        assert run.finished
        assert run.answers("test") is None


class TestDataSet:
    def picture(self, inside: dict[str, bytes]) -> dict[str, Any]:
        return json.loads(inside["dataset/index.json"])["pictures"][0]

    @pytest.mark.parametrize(
        "edit",
        [_set("pictures", 0, "sha256", to="../../evil"), _set("pictures", 0, "sha256", to=1),
         _set("pictures", 0, "file", to="../../../etc/passwd"), _set("pictures", 0, "label", to=1),
         _set("pictures", 0, "label", to=""), _set("pictures", 0, "label", to="\u202eevil"),
         _set("pictures", 0, "name", to="a\nb"), _set("pictures", 0, "split", to="other"),
         _set("pictures", 0, "split", to=[]), _set("pictures", 0, "width", to=1),
         _set("pictures", 0, "new", to=1), _set("pictures", to={}), _set("pictures", to=None),
         _set("pictures", to=[]), _set("warnings", to=[1]), _set("warnings", to=1),
         _set("rejected", to=[{"file": "x", "reason": 1}]), _set("digest", to="0" * 32),
         _set("digest", to=None), lambda value: value.clear()],
    )  # fmt: skip
    def test_a_list_that_is_none(self, refusal, inside, edit):
        refusal(edited(inside, "dataset/index.json", edit))

    @pytest.mark.parametrize("digest", ["../../evil", "0" * 32, "", "A" * 32])
    def test_another_address(self, bundle, inside, tmp_path, digest):
        change = edited(inside, "dataset/index.json", _set("digest", to=digest))
        path = resealed(bundle, tmp_path / "x.zip", change, dataset=digest)
        assert "data set is another" in refused(path)

    def test_a_picture_in_place_of_another(self, refusal, inside):
        one = self.picture(inside)
        other = io.BytesIO()
        Image.new("RGB", (one["width"], one["height"]), "red").save(other, "PNG")
        said = refusal({f"dataset/{one['file']}": other.getvalue()})
        assert "a picture is another than its name says" in said

    @pytest.mark.slow
    def test_a_picture_of_another_size(self, refusal, inside):
        """A small file that unpacks to much is told by its head."""
        one = self.picture(inside)
        other = io.BytesIO()
        Image.new("RGB", (20_000, 20_000)).save(other, "PNG")
        said = refusal({f"dataset/{one['file']}": other.getvalue()})
        assert "not of the kind that is stored" in said

    @pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "TIFF", "WEBP"])
    def test_a_picture_of_another_kind(self, refusal, inside, kind):
        one = self.picture(inside)
        other = io.BytesIO()
        Image.new("RGB", (one["width"], one["height"])).save(other, kind)
        said = refusal({f"dataset/{one['file']}": other.getvalue()})
        assert "not of the kind that is stored" in said

    def test_a_picture_that_is_cut_off(self, refusal, inside):
        name = f"dataset/{self.picture(inside)['file']}"
        for length in (0, 10, 100, len(inside[name]) // 2):
            assert "a picture is damaged" in refusal({name: inside[name][:length]})

    def test_a_picture_that_is_in_no_list(self, refusal):
        data = io.BytesIO()
        Image.new("RGB", (8, 8)).save(data, "PNG")
        name = f"dataset/images/{'a' * 64}.png"
        assert "without a label" in refusal({name: data.getvalue()})

    def test_a_picture_with_notes_beside_its_pixels_is_the_same(self, bundle, inside, tmp_path):
        name = f"dataset/{self.picture(inside)['file']}"
        notes, data = PngImagePlugin.PngInfo(), io.BytesIO()
        notes.add_text("Comment", "hello")
        with Image.open(io.BytesIO(inside[name])) as picture:
            picture.save(data, "PNG", pnginfo=notes)
        path = resealed(bundle, tmp_path / "x.zip", {name: data.getvalue()})
        assert workshop.run(bundles.bring_in(path)).finished

    def test_other_pictures_under_the_address_of_a_data_set_that_is_here(
        self, finished, bundle, inside, tmp_path
    ):
        edit = _set("pictures", 0, "name", to="another.jpg")
        path = resealed(bundle, tmp_path / "x.zip", edited(inside, "dataset/index.json", edit))
        assert "not those that are here under the same address" in refused(path)


class TestClasses:
    """The list of layers is neither too short for our models, nor longer than Keras has."""

    @staticmethod
    def unknown(name: str, tmp_path: Path) -> None:
        import keras

        from transfer import backbones, views_at_test
        from transfer.backbones import Backbone
        from transfer.linear import LinearHead

        spec = catalog.backbone(name)
        size = max(64, spec.min_size)
        arguments = {"include_top": False, "weights": None, "input_shape": (size, size, 3)}
        if spec.alpha is not None:
            arguments["alpha"] = spec.alpha
        network = getattr(keras.applications, spec.function)(**arguments)
        backbone = Backbone(spec, size, network, Path("none"))
        blocks = backbone.blocks
        kernel = np.zeros((sum(block.width for block in blocks), 3), np.float32)
        head = LinearHead(kernel, np.zeros(3, np.float32), 1.0, 1.0, 1.0)
        model = backbones.classifier(backbones.with_head(backbone, head, blocks, dropout=0.2))
        model.save(tmp_path / "model.keras")
        views_at_test.with_views(model, "multi-scale", mirror=True).save(tmp_path / "views.keras")
        keras.backend.clear_session()
        foreign.check_model(tmp_path / "model.keras")
        foreign.check_model(tmp_path / "views.keras")

    def test_a_small_network(self, tmp_path):
        self.unknown("MobileNetV2:0.35", tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", [name for name in catalog.names() if name != catalog.BUILTIN])
    def test_every_network(self, name, tmp_path):
        self.unknown(name, tmp_path)

    @pytest.mark.parametrize(
        "strategy",
        [
            pytest.param(spec.name, marks=pytest.mark.slow) if spec.tunes else spec.name
            for spec in catalog.STRATEGIES
        ],
    )
    def test_every_strategy(self, strategy, sample_zip, tmp_path, command):
        options = ("--backbone", "builtin", "--strategy", strategy, "--epochs", "1")
        status, _, words = command("train", sample_zip, "--run", tmp_path / "run", *options)
        assert status == 0, words
        foreign.check_model(Run(tmp_path / "run").model_path)

    def test_every_class_is_one_of_keras(self):
        import keras

        missing = []
        for module, name in foreign._CLASSES:
            if module.startswith("keras.src"):
                continue
            place = keras
            for part in module.split(".")[1:]:
                place = getattr(place, part)
            if not isinstance(getattr(place, name, None), type):
                missing.append(f"{module}.{name}")
        assert missing == []


def test_sums_are_those_of_the_importer(inside):
    """A picture is known by its pixels, as `transfer.dataset.importer` knows it."""
    for picture in json.loads(inside["dataset/index.json"])["pictures"][:5]:
        with Image.open(io.BytesIO(inside[f"dataset/{picture['file']}"])) as image:
            pixels = np.asarray(image)
        content = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes())
        assert content.hexdigest() == picture["sha256"]


class TestSilence:
    def test_figures_of_another_form(self, refusal, inside):
        change = edited(inside, "run/calibration.json", lambda value: value.update(answering=[{}]))
        assert "'calibration.json' has another form" in refusal(change)

    @pytest.mark.parametrize(
        ("name", "array", "said"),
        [
            ("limit_0", np.zeros(3, np.float32), "do not fit"),
            ("limit_0", np.float32(-1), "have no limit"),
            ("neighbours_0", np.zeros((5, 1), np.float32), "do not fit together"),
            ("neighbours_0", np.array([{"a": 1}], dtype=object), "do not fit"),
            ("center_0", np.full(3, np.nan, np.float32), "do not fit together"),
            ("other_0", np.zeros(3, np.float32), "are to something else"),
            ("other", np.zeros(3, np.float32), "are to something else"),
        ],
    )
    def test_arrays_that_this_app_does_not_write(self, refusal, inside, name, array, said):
        data = repacked(inside["run/refusal.npz"], {f"{name}.npy": saved(np.asarray(array))})
        assert said in refusal({"run/refusal.npz": data})
