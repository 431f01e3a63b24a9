"""How far training pictures are changed: what the user says of it, and what follows from that."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from transfer.errors import SettingsError

# What each level does where the user says nothing: names of `Amounts`, and their values.
LEVELS: dict[str, dict[str, float]] = {
    "none": {},
    "light": {"crop": 0.16, "colour": 0.2},
    "strong": {"crop": 0.16, "colour": 0.2, "randaugment": 2, "erasing": 0.25},
}

# The level of each strategy that trains the network, where the user names none.
POLICIES: dict[str, Literal["light", "strong"]] = {
    "finetune_few": "light",
    "finetune_many": "strong",
}

# Name -> (least, most); what each means stands in `Amounts`.
RANGES: dict[str, tuple[float, float]] = {
    "crop": (0, 0.6),
    "scale": (1, 2.2),
    "colour": (0, 0.8),
    "pca_colour": (0, 0.5),
    "translation": (0, 0.4),
    "rotation": (0, 180),
    "stretching": (1, 2),
    "shear": (0, 30),
    "lens": (0, 0.3),
    "randaugment": (0, 5),
    "magnitude": (0.1, 2),
    "mixup": (0, 2),
    "cutmix": (0, 2),
    "erasing": (0, 1),
}
_YES, _NO = ("yes", "true", "on"), ("no", "false", "off")


@dataclass(frozen=True)
class Amounts:
    """How far each change goes; as it stands here, none does anything.

    Attributes:
        upside_down: half of the pictures are mirrored top to bottom.
        crop: largest share of each side that is cut away, width and height by themselves.
        scale: ResNet's crop (He 2015): the side is drawn between the network's and so many times
            it, then a patch of the network's side is cut out. The paper's 256 to 480 pixels for 224
            are 1.14 to 2.14.
        colour: largest relative change of brightness, contrast and saturation.
        pca_colour: standard deviation of AlexNet's change of colour (Krizhevsky 2012), in
            eigenvalues of the RGB values between 0 and 1; the paper's is 0.1.
        translation: largest shift either way, as a share of the side.
        rotation: largest angle either way, in degrees.
        stretching: largest factor between the two sides; what does not fit is cut away.
        shear: largest angle either way, in degrees.
        lens: largest radial distortion (barrel or pincushion), relative, at the middle of a side.
        randaugment: operations of RandAugment that each picture gets (arXiv 1909.13719).
        magnitude: how strong those are; 1 is moderate.
        mixup: of the Beta distribution that says how much of another picture shines through (Zhang
            2018).
        cutmix: of the Beta distribution that says how large a part of another picture is pasted in
            (Yun 2019).
        erasing: share of the pictures of which a part is erased (Zhong 2017).
    """

    upside_down: bool = False
    crop: float = 0.0
    scale: float = 1.0
    colour: float = 0.0
    pca_colour: float = 0.0
    translation: float = 0.0
    rotation: float = 0.0
    stretching: float = 1.0
    shear: float = 0.0
    lens: float = 0.0
    randaugment: int = 0
    magnitude: float = 1.0
    mixup: float = 0.0
    cutmix: float = 0.0
    erasing: float = 0.0

    @property
    def mixes(self) -> bool:
        """Whether two pictures are put into one, and so are their labels."""
        return self.mixup > 0 or self.cutmix > 0


@dataclass(frozen=True)
class Changes:
    """What the user says of `Amounts`; what is None follows the level, that the strategy's policy.

    `level` is "none", "light" or "strong"; "none" leaves pictures as they are, but for what the
    user says of each change, flips and turns included.
    """

    level: str | None = None
    upside_down: bool | None = None
    crop: float | None = None
    scale: float | None = None
    colour: float | None = None
    pca_colour: float | None = None
    translation: float | None = None
    rotation: float | None = None
    stretching: float | None = None
    shear: float | None = None
    lens: float | None = None
    randaugment: int | None = None
    magnitude: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    erasing: float | None = None

    def __post_init__(self) -> None:
        if self.level is not None and self.level not in LEVELS:
            raise SettingsError(
                f"The level of the changes should be one of {', '.join(LEVELS)}, but is"
                f" '{self.level}'. Choose one of these."
            )
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(
                    f"'{name}' should be between {low:g} and {high:g}, but is {value:g}."
                    " Choose a value in that range, or leave it out."
                )
        if self.randaugment is not None and self.randaugment != int(self.randaugment):
            raise SettingsError(
                "'randaugment' is how many operations each picture gets: a whole number, but it is"
                f" {self.randaugment:g}. Choose 0 to {RANGES['randaugment'][1]:g}."
            )

    @property
    def said(self) -> dict[str, Any]:
        """What is not left open."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Changes":
        """Return the settings that `to_json` wrote.

        Raises:
            SettingsError: there are others among them, or one is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(value) - set(known)):
            raise SettingsError(
                f"There is no change of pictures called '{unknown[0]}'; there are"
                f" {', '.join(known)}. Choose one of these."
            )
        return cls(**value)


def amounts(level: str, changes: Changes) -> Amounts:
    """Return how far each change goes: what is said, else what the level does.

    Args:
        level: "none", "light" or "strong": the policy's, where `changes` says none.
        changes: what the user says. ResNet's crop takes the place of the usual one, where nothing
            is said of that.
    """
    said = {name: value for name, value in changes.said.items() if name != "level"}
    usual = LEVELS[changes.level or level]
    if said.get("scale", 1) > 1:
        usual = {name: value for name, value in usual.items() if name != "crop"}
    merged: dict[str, Any] = {**usual, **said}
    return Amounts(**merged)


def parsed(given: Iterable[str]) -> Changes:
    """Return the settings that "NAME=VALUE" texts say.

    Raises:
        SettingsError: one is of another form, unknown, said twice or out of range.
    """
    values: dict[str, Any] = {}
    for text in given:
        name, sign, value = (part.strip() for part in text.partition("="))
        name = name.replace("-", "_").lower()
        if not sign or not name or not value:
            raise SettingsError(
                f"A change of pictures is given as NAME=VALUE, such as rotation=15, but '{text}'"
                " came. Write it that way."
            )
        if name in values:
            raise SettingsError(f"'{name}' is said twice. Say it once.")
        values[name] = _value(name, value)
    return Changes.from_json(values)


def _value(name: str, text: str) -> Any:
    if name == "level":
        return text.lower()
    if name == "upside_down":
        if text.lower() not in _YES + _NO:
            raise SettingsError(f"'{name}' should be yes or no, but is '{text}'. Say one of them.")
        return text.lower() in _YES
    try:
        number = float(text)
    except ValueError:
        raise SettingsError(
            f"'{name}' should be a number, but is '{text}'. Write it as in {name}=0.2."
        ) from None
    return int(number) if name == "randaugment" and number.is_integer() else number
