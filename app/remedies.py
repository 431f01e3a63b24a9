"""What each kind of finding means, what to do about it, and how it was found: the words alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """The words of one kind of finding, and what is said where there is none.

    `meaning` is one sentence. `fine` goes on after "In order: ". `why` is Markdown: the method and
    its source in plain words.
    """

    meaning: str
    remedy: str
    fine: str
    why: str


@dataclass(frozen=True)
class Cue:
    """Something beside the subject: what the classes differ in, and what it can be told from.

    `compared_with` is what else was asked to tell them apart, for comparison.
    """

    difference: str
    told_from: str
    remedy: str
    compared_with: str = "the whole picture"


_COMPARED = (
    "Every picture is compared with every other: by its pixels (*exact copies*), and by how alike"
    " small versions of both look (*near-duplicates*), so that copies which were saved anew,"
    " resized, slightly cut or brightened are found, too."
)
_LIGHT = (
    "Measured on the grey values of each picture, and compared with the other pictures of the set"
    " and with what the eye needs. No network is asked."
)
_SPLIT = (
    " Groups of pictures that belong together are never torn apart for it, so that it has to see"
    " the class and not the burst."
)

KINDS = {
    "leaks": Kind(
        "The test would only repeat what it has learned by heart.",
        "A training leaves these copies out of what it learns from. To learn from them, too, remove"
        " them from the test folder.",
        "no picture is in two of your folders",
        f"{_COMPARED}\n\n**Why it matters.** A test asks about what is new. In well-known"
        " collections, 3 to 10 of 100 test pictures were found to have copies among the training"
        " pictures, and every network looked better by it (Barz and Denzler 2020, *Do we train on"
        " test data?*).",
    ),
    "conflicts": Kind(
        "It cannot learn both: whichever name it gives, one of the copies says that it is wrong.",
        "Decide which name is right and give it to every copy; if both are, make one class of the"
        " two.",
        "no picture is in two classes",
        f"{_COMPARED} Where copies have different labels, at least one of the labels is wrong, or"
        " the classes overlap.",
    ),
    "shortcut": Kind(
        "It may learn this instead of the subject, and be wrong wherever it does not hold.",
        "",
        "the classes do not differ in size, format, camera, colour or background alone",
        "A simple classifier (*random trees*) was asked to tell your classes apart **without the"
        " subject**: by nothing but one cue, for pictures it had not learned from. Each class and"
        " all others count alike, so guessing is right on 50 %. The alarm is raised where the cue"
        " does much better than that, and than the rest of the picture, and than chance makes."
        f"{_SPLIT}\n\n**Why it matters.** A network takes the easiest way there is. One that was"
        " to find pneumonia had learned to tell the hospitals apart (Zech et al. 2018); datasets"
        " can be named by their pictures' style alone (Torralba and Efros 2011); such ways are"
        " called *shortcuts* (Geirhos et al. 2020).\n\nAn alarm is no proof: where the cue belongs"
        " to the class, as blue belongs to the sea, it is right to use it.",
    ),
    "gap": Kind(
        "Pictures of one burst are nearly the same, so a test that has some of them asks what it"
        " knows already: the lower number is the honest one.",
        "Bursts are kept together when the pictures are shared out, so the figures here are"
        " honest. To make it better, take single pictures of more and different things: a burst"
        " teaches hardly more than one picture.",
        "the number is the same whether bursts are kept together or torn apart",
        "The same quick classifier was judged twice by pictures it had not learned from: once with"
        " all pictures of a burst on one side (*grouped cross-validation*), once with every picture"
        " for itself. A burst is a series of alike pictures with consecutive file numbers or times,"
        " frames of one film, or cuts of one larger picture.\n\n**Why it matters.** A test that"
        " shares bursts with the training promises more than new pictures will hold (Roberts et al."
        " 2017; Kapoor and Narayanan 2023 count such *leakage* in 17 fields of science).",
    ),
    "suspects": Kind(
        "Some of their labels may be wrong, and a wrong label teaches a wrong thing.",
        "Look at each: give it the right class, or leave it where the label is right. Not every"
        " wrong label is found: look through their classes, too.",
        "no picture looks much more like another class than like its own",
        "A quick classifier was fitted again and again, each time without some of the pictures, and"
        " asked about those (*out-of-fold probabilities*). Listed is what it would surely have"
        f" called something else.{_SPLIT} It is a hint and no proof: rare but right pictures look"
        " suspicious, too (*confident learning*, Northcutt, Jiang and Chuang 2021).",
    ),
    "few": Kind(
        "It learns so few by heart, and hardly any are left to tell how good it is.",
        "Add pictures of these classes: 20 make a start, 100 are better; or leave the classes out.",
        "every class has enough pictures to begin with",
        "Counted. Twice as many pictures of a small class help more than twice as many of a large"
        " one; what more would give is measured below, where it can be.",
    ),
    "imbalance": Kind(
        "It may answer the large class too often, because that is right most of the time.",
        "Add pictures of the small class; do not throw away those of the large one.",
        "no class is much larger than the others",
        "Counted. Classes of very unequal size make a network forget the small ones; more pictures"
        " of these help most (Buda, Maki and Mazurowski 2018).",
    ),
    "duplicates": Kind(
        "A copy teaches nothing new, and makes a class look larger than it is.",
        "Keep one of each, and take new pictures of other things, from other sides, at other times:"
        " only those teach something new. Copies that you leave are kept on one side of the test,"
        " so the figure stays fair.",
        "no picture is here twice",
        _COMPARED,
    ),
    "bursts": Kind(
        "Pictures of one burst are nearly the same, so each burst counts little more than one"
        " picture.",
        "Nothing has to be mended: what belongs together is kept together when the pictures are"
        " shared out.",
        "no bursts were found",
        "A burst is a series of alike pictures with consecutive file numbers or times, frames of"
        " one film, or cuts of one larger picture. Kept together means: all of them teach, or all"
        " of them test (*grouped split*, Roberts et al. 2017).",
    ),
    "unlike": Kind(
        "They may have come in by mistake, or show something rare of which there should be more.",
        "Remove what does not belong here; of what does, add a few more.",
        "no picture stands far apart from all others",
        "Each picture was compared with its nearest neighbours by what a network sees in it"
        " (*features*); those whose neighbours are unusually far away stand here"
        " (Ramaswamy, Rastogi and Shim 2000).",
    ),
    "blurred": Kind(
        "What tells the classes apart may not be visible in them.",
        "Remove those in which you yourself cannot tell the class, and keep the others if the"
        " classifier will meet such pictures.",
        "no picture is blurred",
        "Sharp edges change abruptly from pixel to pixel. How much they do is measured (the spread"
        " of the *Laplacian*; Pertuz, Puig and Garcia 2013 compare such measures).",
    ),
    "dark": Kind(
        "What tells the classes apart may not be visible in them.",
        "Brighten them or take them again; keep those that are like what the classifier will meet.",
        "no picture is too dark",
        _LIGHT,
    ),
    "bright": Kind(
        "What is too light is white: what was there cannot be seen, nor brought back.",
        "Take them again with less light; keep those that are like what the classifier will meet.",
        "no picture is too bright",
        _LIGHT,
    ),
    "flat": Kind(
        "There is hardly anything in them to learn from: an empty, covered or broken picture.",
        "Remove them, unless showing nothing is what the class is about.",
        "no picture is empty",
        _LIGHT,
    ),
    "small": Kind(
        "They have fewer pixels than the network looks at, so fine details are missing.",
        "Use the originals, if these are previews.",
        "no picture is too small",
        "By the width and height of the file as it came in. A network looks at a square of fixed"
        " size: what is smaller is enlarged, and gets no sharper by it.",
    ),
    "odd_shape": Kind(
        "A network looks at squares, so very long or very tall pictures are squeezed.",
        "Cut them to what matters before you upload them.",
        "no picture is much longer than it is wide, or the other way round",
        "By the width and height of the file as it came in, compared with the usual shape of the"
        " set.",
    ),
}  # fmt: skip
OTHER = Kind(
    "They differ from the others in a way that may matter.",
    "Look at them, and remove what does not belong here.",
    "nothing else was found",
    "Found by this version's checks of single pictures.",
)

# Of a cue that may as well belong to the subject.
MAY_BELONG = (
    "This may belong to your classes, and then it is right to use it; if it came with the camera or"
    " the light, it may learn that instead of the subject."
)
NOTED = (
    "\n\n**Why only a note.** The rest of the picture tells the classes apart as well, or the"
    " difference is only where the subject is, as the red of an apple is. From the pictures alone"
    " nobody can say which of the two it is."
)

_CUES = {
    "camera": Cue(
        "camera", "the camera's name",
        "Take pictures of every class with the same cameras, or leave out those that only one"
        " class has.",
    ),
    "time": Cue(
        "time", "the time at which they were taken",
        "Take pictures of every class on every occasion, not one class a day.",
    ),
    "format": Cue(
        "file format", "the format of the files",
        "Get the pictures of all classes in the same way: saving them all in one format hides the"
        " difference only in part.",
    ),
    "size": Cue(
        "size", "width and height of the pictures",
        "Get the pictures of all classes from the same sources, or cut them all alike.",
    ),
    "file_size": Cue(
        "compression", "how strongly the files are compressed",
        "Get the pictures of all classes from the same sources, with the same settings.",
        "the rest of the picture",
    ),
    "colour": Cue(
        "colour and light", "their mean colour and light",
        "Take pictures of every class in the same light; where the colour belongs to the class, all"
        " is well.",
        "form and sharpness",
    ),
    "sharpness": Cue(
        "sharpness", "how sharp or noisy they are",
        "Take pictures of every class with the same camera and settings.",
        "form and colour",
    ),
    "border": Cue(
        "background", "the border of the pictures",
        "Take pictures of every class before the same backgrounds, and cut frames and stamps off.",
        "as much of the middle",
    ),
}  # fmt: skip


def kind(name: str) -> Kind:
    """Return the words of a kind of finding; also of one that this version does not know."""
    return KINDS.get(name, OTHER)


def cue(name: str) -> Cue:
    """Return the words of a cue; also of one that this version does not know."""
    plain = name.lower().replace("_", " ")
    unknown = Cue(plain, f"this ({plain})", "Get the pictures of all classes in the same way.")
    return _CUES.get(name, unknown)
