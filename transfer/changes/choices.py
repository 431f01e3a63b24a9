"""The menu of changes: what each does, when it helps, and when it would change the label."""

from dataclasses import dataclass

from transfer.changes.settings import RANGES


@dataclass(frozen=True)
class Choice:
    """One change as a menu shows it.

    Attributes:
        name: of the setting: a field of `Changes`.
        title: in two or three words.
        low: least value; no change at all for most of them.
        high: largest value.
        usual: a good value to begin with, where it is wanted.
        unit: of the value, for people.
        what: what it does.
        when: when to use it.
        label: when it would change the label.
    """

    name: str
    title: str
    low: float
    high: float
    usual: float
    unit: str
    what: str
    when: str
    label: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.what} {self.when} {self.label}"


def _choice(name: str, title: str, usual: float, unit: str, words: tuple[str, str, str]) -> Choice:
    low, high = RANGES.get(name, (0, 1))
    return Choice(name, title, low, high, usual, unit, *words)


# In the order of a menu: where things are, colours, several at once, what mixes pictures.
CHOICES: tuple[Choice, ...] = (
    _choice("upside_down", "Upside down", 1, "yes or no", (
        "Half of the pictures are mirrored top to bottom.",
        "For pictures without an up: from above, through a microscope, of textures.",
        "Changes the label where up and down mean something, as in 6 and 9.",
    )),
    _choice("crop", "Crop", 0.16, "share of a side cut away, at most", (
        "A part of the picture fills the whole; width and height are drawn by themselves.",
        "Nearly always.",
        "Changes the label where what decides lies at the edge and may be cut away.",
    )),
    _choice("scale", "Scale and crop", 1.5, "times the input size, at most", (
        "The picture is enlarged by chance, then a patch of it is cut out, as ResNet learned.",
        "For objects of all sizes that fill much of the picture, and many pictures.",
        "Changes the label where a patch may miss the object, or where size decides.",
    )),
    _choice("translation", "Shift", 0.1, "share of a side, at most", (
        "The picture is shifted; the gap is filled by reflection.",
        "Where the object always lies in the same place, but will not later.",
        "Changes the label only where the place itself decides.",
    )),
    _choice("rotation", "Rotate", 10, "degrees either way, at most", (
        "The picture is tilted; corners are filled by reflection.",
        "For cameras held by hand, and up to 180 for pictures without an up.",
        "Changes the label where direction decides: gauges, arrows, 6 and 9.",
    )),
    _choice("stretching", "Stretch", 1.2, "times wider or taller, at most", (
        "The picture is made wider or taller.",
        "For objects that come in many proportions, or are seen from many sides.",
        "Changes the label where proportions decide, as in circles and ellipses.",
    )),
    _choice("shear", "Shear", 8, "degrees either way, at most", (
        "The picture is slanted.",
        "For flat things that are photographed from aside, such as writing.",
        "Changes the label where angles decide.",
    )),
    _choice("lens", "Lens distortion", 0.1, "relative, at most", (
        "Straight lines bend outwards or inwards, as through a wide-angle lens.",
        "For pictures of several cameras, or a wide-angle one later.",
        "Changes the label only where it is about straight or bent.",
    )),
    _choice("colour", "Colour jitter", 0.2, "relative, at most", (
        "Brightness, contrast and saturation are changed.",
        "For light that differs from picture to picture.",
        "Changes the label where shades decide, as in ripe and unripe.",
    )),
    _choice("pca_colour", "PCA colour", 0.1, "standard deviation", (
        "All colours are shifted the way in which the colours of your pictures differ (AlexNet).",
        "For lamps and cameras of different tints.",
        "Changes the label where tints decide.",
    )),
    _choice("randaugment", "RandAugment", 2, "changes for each picture", (
        "Each picture gets so many changes drawn from eleven kinds: tilts, shifts, tones.",
        "For many pictures and long trainings that learn by heart.",
        "Changes the label where any of rotating, shearing, shifting or colour jitter does.",
    )),
    _choice("magnitude", "Magnitude of RandAugment", 1, "times the moderate one", (
        "How strong the changes of RandAugment are.",
        "More of it where training still learns by heart.",
        "The stronger, the sooner it changes the label.",
    )),
    _choice("erasing", "Erasing", 0.25, "share of the pictures", (
        "A rectangle of 2 to 20 % of a picture is filled with its mean colour.",
        "For objects that are partly hidden, where the whole object tells the class.",
        "Changes the label where one small place decides, such as a defect.",
    )),
    _choice("mixup", "Mixup", 0.2, "alpha of the Beta distribution", (
        "Another picture shines through, and the label is mixed by the same share.",
        "For many pictures that are learned by heart, and for labels that are partly wrong.",
        "The label is mixed along, so none is wrong; with few pictures it learns too little.",
    )),
    _choice("cutmix", "Cutmix", 1, "alpha of the Beta distribution", (
        "A part of another picture is pasted in, and the label is mixed by its area.",
        "For many pictures in which one object fills the picture.",
        "Changes the label where one small place decides: the area says nothing then.",
    )),
)  # fmt: skip
