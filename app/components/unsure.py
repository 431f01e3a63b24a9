"""What the page Use says where the model would rather say nothing."""

import html

import streamlit as st

from app import verdicts, words
from app.predictor import Answer

ABOUT = (
    "It can only choose among its own classes. So it also says where a picture is **none of"
    " these**: unlike everything it has learned, by a limit that lets 19 of 20 of your own pictures"
    " pass; and where it is **not sure enough** to keep the share of right answers that you chose"
    " on the page Results."
)


def told(answer: Answer) -> None:
    """Say in plain words that it is none of these, or not sure enough; nothing where it is."""
    if not answer.known:
        how = f"{answer.strangeness:.1f} times" if answer.strangeness else "much more than"
        st.html(
            '<p class="verdict poor" data-silent="unknown"><span>✗</span>None of these</p>'
            "<p>This picture is unlike all that it has learned. What it would name it is below, but"
            " do not rely on it.</p>"
            f'<p class="quiet small">{how} as far from the nearest picture it knows as the limit'
            " allows.</p>"
        )
    elif not answer.sure:
        best = html.escape(verdicts.quoted(_best(answer)))
        st.html(
            '<p class="verdict fair" data-silent="unsure"><span>!</span>Not sure enough</p>'
            f"<p>It would rather not say. Its best guess is {best}.</p>"
        )


def limits(answer: Answer) -> str:
    """Say what it can name at all."""
    classes = words.many(len(answer.classes), "class", "classes")
    if answer.strangeness is None:
        return f"It can only name its {classes}, even for a picture of something else."
    return f"It can only name its {classes}."


def _best(answer: Answer) -> str:
    return max(zip(answer.probabilities, answer.classes, strict=True))[1]
