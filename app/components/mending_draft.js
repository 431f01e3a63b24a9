// The pictures of a data set with the draft of its next version: each change is made here at once,
// then sent; what the server answers is what counts.

const PATIENCE = 60_000; // milliseconds for one answer
const GONE = -1; // the class of a picture that was deleted

class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

class Draft {
  names = []; // of the files, in the order of the data set; these and the next three never change
  contents = []; // SHA-256
  oldClasses = []; // before any change
  oldLabels = []; // which of them, for each picture
  classes = []; // as the draft has them
  labels = []; // which of them, or GONE
  splits = ""; // a letter for each picture: r(est), t(rain), v(alidation), e (test)
  oldSplits = "";
  changes = []; // in words, the oldest first
  undo = null; // what would be taken back, in words
  redo = null;
  queue = []; // what the server does not know of yet
  ready = false;

  // `onChange` is told of each new state, `onRefused` of a sentence when a change was taken back,
  // `onKept` when the server has everything.
  constructor(listener) {
    this.listener = listener;
  }

  async load() {
    const { pictures, draft } = await this.ask("GET");
    const { names, contents, classes, labels, splits } = pictures;
    Object.assign(this, { names, contents, oldClasses: classes, oldLabels: labels });
    this.oldSplits = splits;
    this.take(draft);
    this.ready = true;
    this.listener.onChange();
  }

  take({ classes, labels, splits, changes, undo, redo }) {
    Object.assign(this, { classes, labels, splits, changes, undo, redo });
  }

  label(position) {
    return this.classes[this.labels[position]];
  }

  oldLabel(position) {
    return this.oldClasses[this.oldLabels[position]];
  }

  isChanged(position) {
    return (
      this.labels[position] !== GONE &&
      (this.label(position) !== this.oldLabel(position) ||
        this.splits[position] !== this.oldSplits[position])
    );
  }

  // The number of pictures of each class that has any, in the order of the names.
  counts() {
    const numbers = new Array(this.classes.length).fill(0);
    for (const label of this.labels) if (label !== GONE) numbers[label] += 1;
    return this.classes
      .map((name, i) => ({ name, count: numbers[i] }))
      .filter(({ count }) => count)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  // Makes a change: {do, pictures: positions, classes: names, to}.
  change(change) {
    this.show(change);
    return this.send("", change);
  }

  async send(path, body) {
    this.queue.push({ path, body });
    this.listener.onChange();
    if (this.queue.length > 1) return;
    try {
      let answer = null;
      while (this.queue.length) {
        const { path, body } = this.queue[0];
        answer = await this.ask("POST", path, body);
        this.queue.shift();
      }
      this.take(answer);
    } catch (error) {
      this.queue = [];
      await this.restore(error);
    }
    this.listener.onChange();
    this.listener.onKept();
  }

  async restore(error) {
    this.listener.onRefused(error);
    try {
      this.take((await this.ask("GET")).draft);
    } catch {
      this.ready = false; // nothing is to be changed that is not known: the sentence stands there
    }
  }

  show({ do: what, pictures = [], classes = [], to }) {
    if (what === "move") {
      const letters = [...this.splits];
      for (const position of pictures) letters[position] = to ? LETTERS[to] : "r";
      this.splits = letters.join("");
      return;
    }
    const of = new Set(classes.map((name) => this.classes.indexOf(name)));
    const label = what === "delete" ? GONE : this.number(to);
    for (const position of pictures) this.labels[position] = label;
    if (!of.size) return;
    this.labels = this.labels.map((old) => (of.has(old) ? label : old));
  }

  number(name) {
    const found = this.classes.indexOf(name);
    return found < 0 ? this.classes.push(name) - 1 : found;
  }

  async ask(method, path = "", body = undefined) {
    const address = new URL(`api/datasets/${this.digest}/draft${path}`, document.baseURI);
    let response;
    try {
      response = await fetch(address, {
        method,
        headers: { "X-Mending-Token": this.token, "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(PATIENCE),
      });
    } catch {
      throw new Refusal(this.texts.lost, 0);
    }
    if (response.ok) return response.json();
    const answer = await response.json().catch(() => ({}));
    throw new Refusal(answer.error ?? this.texts.lost, response.status);
  }
}

const LETTERS = { train: "t", val: "v", test: "e" };

function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function number(value) {
  return value.toLocaleString("en");
}
