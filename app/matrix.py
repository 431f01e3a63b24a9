"""The figures as HTML: the confusion matrix with buttons for cells, and shares with whiskers."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app import figures, verdicts
from app.figures import ClassRow, Figures
from transfer.evaluation import Accuracy

ALL_UP_TO = 30  # classes; of more, only those that are confused most are drawn at first
FIRST = 20
BESIDE = 12  # up to so many, pictures fit beside the matrix
ROOMY = 4  # up to so many, percentages fit into the cells and names above the columns
LEGEND = (
    '<p class="quiet small legend">Rows: the label. Columns: what it said.<br>'
    '<span class="swatch hit"></span>right'
    ' <span class="swatch miss"></span>mistakes: the stronger, the larger the share of the row</p>'
)
_SIDES = {ROOMY: "roomy", 8: "wide", BESIDE: "middling", ALL_UP_TO: "dense"}

# Cells are reached by Tab once and then by the arrow keys, as in a spreadsheet.
SCRIPT = """
const STEPS = {
  ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
  Home: [0, -Infinity], End: [0, Infinity],
};

function next(table, button, [down, right]) {
  const cell = button.closest("td");
  const row = cell.parentElement;
  const line = down
    ? [...table.rows].map((one) => one.cells[cell.cellIndex])
    : [...row.cells];
  const there = line.map((one) => one.querySelector("button"));
  const now = there.indexOf(button);
  const after = there.slice(now + 1).filter(Boolean);
  const before = there.slice(0, now).filter(Boolean);
  if (right === Infinity) return after.at(-1);
  if (right === -Infinity) return before[0];
  const every = [...table.querySelectorAll("button")];
  const place = every.indexOf(button);
  // Nothing more in this line: the next in reading order, so that each number can be reached.
  return down + right > 0 ? after[0] ?? every[place + 1] : before.at(-1) ?? every[place - 1];
}

export default function ({ parentElement, data, setTriggerValue }) {
  const place = parentElement.querySelector(".confusion");
  if (place.drawn !== data.html) {
    place.innerHTML = data.html;
    place.drawn = data.html;
    for (const button of place.querySelectorAll("button")) {
      button.title = button.getAttribute("aria-label");
    }
  }
  const table = place.querySelector("table");
  const buttons = [...place.querySelectorAll("button")];
  const chosen = buttons.find((button) => button.dataset.cell === data.chosen);
  const stop = chosen ?? buttons[0];
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button === chosen));
    button.tabIndex = button === stop ? 0 : -1;
  }
  place.onclick = (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    setTriggerValue("cell", button.dataset.cell);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const panel = document.querySelector("[class*='st-key-opened_']");
    panel?.scrollIntoView({ block: "nearest", behavior: calm ? "instant" : "smooth" });
  };
  place.onkeydown = (event) => {
    const step = STEPS[event.key];
    const button = event.target.closest("button");
    if (!step || !button || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    next(table, button, step)?.focus();
  };
}
"""


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix by its class numbers: the label, and what the model said."""

    truth: int
    said: int

    def __str__(self) -> str:
        return f"{self.truth}-{self.said}"


def cell(text: object, found: Figures) -> Cell | None:
    """Return the cell that `str` wrote, or None where it is none of these figures with pictures."""
    truth, _, said = str(text).partition("-")
    if not (truth.isdecimal() and said.isdecimal()):
        return None
    one, size = Cell(int(truth), int(said)), len(found.classes)
    there = one.truth < size and one.said < size and found.confusion[one.truth, one.said] > 0
    return one if there else None


def first(found: Figures, classes: list[int]) -> Cell:
    """Return the cell to open at first: the most frequent mistake among these classes.

    Without one, the first class of which pictures were found, or else any cell with pictures.
    """
    drawn = set(classes)
    pairs = [*found.confused, *figures.hits(found.confusion)]
    best = next((pair for pair in pairs if {pair.truth, pair.said} <= drawn), pairs[0])
    return Cell(best.truth, best.said)


def shown(found: Figures, every: bool) -> list[int]:
    """Return the classes to draw, those that are confused side by side.

    Of more than `ALL_UP_TO`, these are the `FIRST` with the most mistakes, unless `every` is true.
    """
    size = len(found.classes)
    if every or size <= ALL_UP_TO:
        return figures.order(found.confusion)
    wrong = found.confusion - np.diag(found.confusion.diagonal())
    most = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:FIRST]
    chosen = [int(i) for i in np.sort(most)]
    return [chosen[i] for i in figures.order(found.confusion[np.ix_(chosen, chosen)])]


def in_words(found: Figures, one: Cell) -> str:
    """Return what a cell holds: '7 pictures of ‘cat’ that it called ‘dog’'."""
    count = verdicts.pictures(int(found.confusion[one.truth, one.said]))
    truth = verdicts.quoted(found.classes[one.truth])
    if one.truth == one.said:
        return f"{count} of {truth} that it found"
    return f"{count} of {truth} that it called {verdicts.quoted(found.classes[one.said])}"


def table(found: Figures, classes: list[int]) -> str:
    """Return the matrix of these classes; its cells are buttons where there are pictures."""
    size = len(classes)
    kind = next((name for most, name in _SIDES.items() if size <= most), "packed")
    heads = "".join(_head(found.classes[said]) for said in classes)
    rows = "".join(_row(found, truth, classes) for truth in classes)
    return (
        f'<table class="matrix {kind}" aria-label="Confusion matrix">'
        '<thead><tr><td class="corner"><span>label ↓</span><span>said →</span></td>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def class_table(rows: Iterable[ClassRow]) -> str:
    """Return the table of the classes: how many were found, how far their names can be trusted."""
    return (
        '<table class="plain classes"><thead><tr><th scope="col">Class</th>'
        '<th scope="col">Found <small>recall</small></th>'
        '<th scope="col">Trusted <small>precision</small></th></tr></thead>'
        f"<tbody>{''.join(_class(row) for row in rows)}</tbody></table>"
    )


def scale(share: Accuracy, guess: float) -> str:
    """Return the accuracy on a scale from 0 to 100 %, with a mark where guessing stands."""
    right, middle = verdicts.percent(share.accuracy, share.n), 100 * share.accuracy
    text = f"{right} right, {verdicts.between(share)}; guessing: {100 * guess:.0f} %"
    mark = f'<span class="guess" style="left:{100 * guess:.1f}%"></span>'
    side, far = ("right", 1 - guess) if guess > 0.5 else ("left", guess)
    return (
        f'<div class="scale" role="img" aria-label="{text}"><div aria-hidden="true">'
        f'<div class="value"><span style="left:clamp(20px, {middle:.1f}%, 100% - 20px)">'
        f"{right}</span></div>{_whisker(share, mark)}"
        '<div class="ticks"><span>0 %</span><span>50 %</span><span>100 % right</span></div>'
        f'<div class="ticks"><span class="at" style="{side}:{100 * far:.1f}%">'
        f"guessing: {100 * guess:.0f} %</span></div></div></div>"
    )


def whiskered(share: Accuracy | None, counts: str, without: str = "") -> str:
    """Return a share with its whisker and its interval in words; else `without`."""
    if share is None:
        return f'<span class="quiet">{without}</span>'
    return (
        f'{_whisker(share)}<span class="number"><b>{verdicts.percent(share.accuracy, share.n)}</b>'
        f' <span class="quiet small">{counts}, {verdicts.between(share)}</span></span>'
    )


def _head(name: str) -> str:
    text = html.escape(name, quote=True)
    return f'<th scope="col" title="{text}"><span dir="auto">{text}</span></th>'


def _row(found: Figures, truth: int, classes: list[int]) -> str:
    text = html.escape(found.classes[truth], quote=True)
    there = int(found.confusion[truth].sum())
    cells = "".join(_cell(found, Cell(truth, said), there, len(classes)) for said in classes)
    return (
        f'<tr><th scope="row" title="{text}: {verdicts.pictures(there)}">'
        f'<span dir="auto">{text}</span></th>{cells}</tr>'
    )


def _cell(found: Figures, one: Cell, there: int, size: int) -> str:
    count = int(found.confusion[one.truth, one.said])
    kind = "hit" if one.truth == one.said else "miss"
    if not count:
        return f'<td class="{kind}"></td>' if kind == "hit" else "<td></td>"
    share = count / there
    # The root makes a few mistakes among many pictures visible.
    tint = 10 + 50 * share**0.5 if kind == "miss" else 6 + 24 * share
    content = f"{count:,}"
    if size <= ROOMY:
        content += f"<small>{verdicts.percent(share, there)}</small>"
    style = f'class="{kind}" style="--tint:{tint:.0f}%"'
    if not found.answers:
        return f"<td {style}><span>{content}</span></td>"
    label = html.escape(f"{in_words(found, one)}, of {there:,}", quote=True)
    return (
        f'<td {style}><button type="button" data-cell="{one}" aria-label="{label}">'
        f"{content}</button></td>"
    )


def _class(row: ClassRow) -> str:
    taught = "" if row.taught is None else f"learned from {verdicts.pictures(row.taught)}"
    found = whiskered(row.found, f"{row.right:,} of {row.pictures:,}", "no pictures here")
    trusted = whiskered(row.trusted, f"{row.right:,} of {row.named:,}", "never said")
    return (
        f'<tr><th scope="row"><span dir="auto" class="class-name">{html.escape(row.name)}</span>'
        f'<small class="quiet">{taught}</small></th>'
        f'<td data-of="Found (recall)">{found}</td>'
        f'<td data-of="Trusted (precision)">{trusted}</td></tr>'
    )


def _whisker(share: Accuracy, more: str = "") -> str:
    low, high, middle = 100 * share.low, 100 * share.high, 100 * share.accuracy
    return (
        '<span class="whisker" aria-hidden="true">'
        f'<span class="range" style="left:{low:.1f}%;width:{high - low:.1f}%"></span>'
        f'<span class="dot" style="left:{middle:.1f}%"></span>{more}</span>'
    )
