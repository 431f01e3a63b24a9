"""The advice in words: what was found, what a choice costs, what may be done to the pictures."""

from app import verdicts, ways, words
from app.measured import Advice, Guess, Span
from app.ways import Cell

_UNLIKE = "unlike what the network knows"
_AMOUNT = {True: "little", False: "lots"}
_LIKE = {True: "similar", False: "different"}
_MEASURES = {"bn_shift": "the BN shift", "spread": "the spread"}
_CLEAR, _CLOSE = 0.9, 0.7  # certainty of a verdict

ABOUT_THE_TABLE = """
Two things decide how much of a network should learn.

**How many pictures there are** (downwards). Few of them are soon learned by heart: then it is right
on those, and wrong on new ones (*overfitting*). So with few, only a small classifier learns.

**How much they are like what the network knows** (to the right: less and less). If they are alike,
its last stage says already what matters. If not, earlier stages, which see edges and textures, say
more, or the network itself has to learn anew.

The dot is where your pictures were measured to be, its bars how far that may be off (95 %). The
nearer the dot is to a border, the less it matters which of the two cells is taken.
"""
ABOUT_THE_REASONS = """
**How many** is counted, and a small classifier is fitted to a half, a quarter and less of your
pictures: where it still gains a lot from more of them, there are few.

**How much they are like** those that the network knows is read off the network itself. While it
learned, it kept the mean and the spread of what each of its channels says (*BatchNorm*). How far
your pictures move these means, in units of that spread, is the shift. No labels are needed.

**Which stage tells your classes apart** is asked of a small classifier at each stage, as the
picture beside the table shows.
"""
ABOUT_THE_STAGES = """
A network sees in stages: the first ones find edges, the next textures, then parts of things, and
the last whole things as it learned to tell them apart. At each stage a small classifier (*linear
probe*) was fitted to your pictures, and asked about some that it had not seen (*cross-validation*).
The bars are standard errors. Where the line still rises at its end, the last stage knows your kind
of pictures; where it falls, it was made for others.
"""


def title(advice: Advice) -> str:
    """Return what was found, as a sentence."""
    like = "like those the network knows" if advice.similarity.similar else _UNLIKE
    if advice.size.little:
        return f"Your pictures are {like}, and there are few of them."
    joined = "and" if advice.similarity.similar else "but"
    return f"Your pictures are {like}, {joined} there are many of them."


def purpose(advice: Advice) -> str:
    """Return what follows from it, and how sure that is."""
    way = ways.named(advice.strategy)
    return f"So the advice is: {way[0].lower()}{way[1:]}. {certainty(advice)}"


def certainty(advice: Advice) -> str:
    """Say how sure the two verdicts are."""
    size, likeness = advice.size.confidence, advice.similarity.confidence
    if min(size, likeness) >= _CLEAR:
        sure = (percent_sure(size), percent_sure(likeness))
        if sure[0] == sure[1]:
            return f"Both are {sure[0]} sure."
        return f"Few or many: {sure[0]} sure. Like or unlike: {sure[1]} sure."
    what = "whether they are few" if size < likeness else "whether they are like those"
    least = percent_sure(min(size, likeness))
    if min(size, likeness) >= _CLOSE:
        return f"It is fairly sure; least so {what} ({least})."
    return f"It is a close call {what} ({least} sure): the cell beside it may do as well."


def percent_sure(confidence: float) -> str:
    """Return a certainty in [0, 1], never as 100 %."""
    return verdicts.probability(confidence)


def lasts(strategy: str, seconds: float) -> str:
    """Return how long a way takes; retraining ends early where it gets no better."""
    about = words.duration(seconds)
    return f"up to {about}" if ways.tunes(strategy) else about


def cost(advice: Advice, strategy: str) -> str | None:
    """Return how long a way takes, beside the advised one, where that is known."""
    mine, theirs = advice.costs.get(strategy), advice.costs.get(advice.strategy)
    if mine is None:
        return None
    took = lasts(strategy, mine)
    if theirs is None or strategy == advice.strategy:
        return f"It takes {took} on this machine."
    if took == lasts(advice.strategy, theirs):
        return f"It takes {took} on this machine, as the advised way does."
    return (
        f"It takes {took} on this machine; the advised way takes {lasts(advice.strategy, theirs)}."
    )


def risk(advice: Advice, strategy: str) -> str:
    """Return what may go wrong with another way than the advised one."""
    chosen, size = ways.cell(strategy), advice.size
    if chosen.tunes and size.little:
        return (
            f"With {verdicts.pictures(size.images)}, {size.per_class:,.0f} a class, it may learn"
            " them by heart (overfitting): right on those, wrong on new ones."
        )
    if chosen.tunes:
        return _of_tuning(chosen)
    if not size.little:
        return (
            "Little can go wrong, but the network stays as it is: with"
            f" {verdicts.pictures(size.images)} it could have learned more."
        )
    if chosen.similar:
        return (
            "Its last stage was made for other pictures than yours. What earlier stages see of"
            " them is not asked."
        )
    return "Little can go wrong, and perhaps little is gained: the last stage knows such pictures."


def asked_for() -> str:
    """Say what choosing a way means."""
    return "You get just this way; no other is tried beside it."


def followed(advice: Advice) -> str:
    """Say what following the advice means."""
    if ways.cell(advice.strategy).tunes:
        return (
            "The simpler way is tried as well. The retrained network is kept only where it does"
            " better on the same validation pictures."
        )
    return "A click on another cell overrules the advice; another click takes that back."


def figures(advice: Advice) -> list[tuple[str, str]]:
    """Return the numbers behind the advice, each with its name, for those who know the field."""
    size, likeness = advice.size, advice.similarity
    shift = "not to be had: this network has no BatchNorm"
    if likeness.bn_shift is not None:
        error = likeness.bn_shift_error
        shift = f"{likeness.bn_shift:.3f}" + ("" if error is None else f" ± {error:.3f}")
        shift += " (median shift of the channels' means, in standard deviations of BatchNorm)"
    spread = []
    if likeness.spread is not None:
        told = f"{likeness.spread:.0f} effective directions of the last stage's features"
        spread = [("Spread", told)]
    slope = "not measured"
    if size.slope is not None:
        slope = f"{100 * size.slope:+.1f} points of accuracy for twice as many pictures"
    return [
        ("Pictures", f"{size.images:,} in {size.classes:,} classes"),
        ("A class", f"{size.per_class:,.0f} on average; the smallest has {size.smallest_class:,}"),
        ("Size", f"{_AMOUNT[size.little]} ({percent_sure(size.confidence)} sure)"),
        ("Slope of the learning curve", slope),
        ("BN shift", shift),
        *spread,
        ("Similarity", f"{_LIKE[likeness.similar]} ({percent_sure(likeness.confidence)} sure),"
                       f" by {_MEASURES.get(likeness.measure, likeness.measure)}"),
        ("Place in the table", f"amount {_span(advice.amount)}, difference"
                               f" {_span(advice.difference)}; the border is at 0.5"),
        ("Network", f"{advice.backbone} at {advice.image_size} x {advice.image_size} pixels"),
        ("Measured in", words.duration(advice.seconds).removeprefix("about ")),
    ]  # fmt: skip


def stages(advice: Advice) -> str:
    """Say what the stage profile shows."""
    profile = advice.similarity.profile
    best, last = max(profile, key=lambda one: one.accuracy), profile[-1]
    n = advice.size.images
    if best.stage == last.stage:
        return f"The last stage knows your pictures best: {_right(last.accuracy, n)} right there."
    shares = f"{_right(best.accuracy, n)} against {_right(last.accuracy, n)} at the last one"
    error = (best.standard_error or 0) + (last.standard_error or 0)
    if best.accuracy - last.accuracy > max(error, 2 / n):  # one picture more is no difference
        return f"Stage {best.stage} knows your pictures better than the last one: {shares}."
    return f"Stage {best.stage} does as well as the last one, within the error: {shares}."


def guess(found: Guess, what: str) -> str:
    """Say by what it was guessed whether pictures may be "mirrored" or "turned"."""
    plain = verdicts.percent(found.accuracy, found.n)
    changed = verdicts.percent(found.changed, found.n)
    verdict = f"being {what} does little harm" if found.safe else "better not"
    return (
        f"{verdicts.pictures(found.n)} were shown to a classifier that had not learned from them:"
        f" it was right on {plain} as they are, and on {changed} {what}. So {verdict}."
    )


def unasked(advice: Advice | None, asked: bool) -> str:
    """Say what retraining does to pictures where the two questions were not put."""
    if asked or advice is None or advice.mirror is None or advice.turn is None:
        return ""
    done = [
        what for what, guess in (("mirrored", advice.mirror), ("turned", advice.turn)) if guess.safe
    ]
    so = f"be {' and '.join(done)}" if done else "neither be mirrored nor be turned"
    return f" While a network is retrained its pictures may {so}, as was measured to be safe."


def all_four(advice: Advice | None, limit: float) -> str:
    """Say how long trying all four ways takes, as far as that is known; `limit` in seconds."""
    most = words.duration(limit).removeprefix("about ")
    costs = [advice.costs.get(cell.strategy) for cell in ways.CELLS] if advice else [None]
    known = [seconds for seconds in costs if seconds is not None]
    if len(known) < len(costs):
        return f"At most {most}. What does not fit into that is left out, and it says so."
    if sum(known) <= limit:
        return f"All four take up to {words.duration(sum(known))} on this machine."
    return (
        f"All four may take up to {words.duration(sum(known))} on this machine. After {most} the"
        " slower ones are cut short or left out, and it says so."
    )


def _span(span: Span) -> str:
    return f"{span.value:.2f} ({span.low:.2f} to {span.high:.2f})"


def _right(share: float, n: int) -> str:
    return verdicts.percent(share, n)


def _of_tuning(chosen: Cell) -> str:
    if chosen.similar:
        return (
            "Only its last part adapts. Its earlier stages, which were made for other pictures"
            " than yours, stay as they are."
        )
    return (
        "It may unlearn some of what it knows, which already fits your pictures, and takes longer"
        " for little."
    )
