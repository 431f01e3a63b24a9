// The page's gallery: what is shown and chosen, and the changes. The other files whose names begin
// with "mending_" are put before this one.

// By the data set. Kept outside the mounted element: Streamlit reruns the page after a change.
const galleries = new Map();
const TOLD_AFTER = 400; // milliseconds of rest, after which the page around hears of changes

export default function ({ data, parentElement, setTriggerValue }) {
  const key = `${data.digest}:${data.found.label}`;
  if (!galleries.has(key)) galleries.set(key, new Gallery());
  const gallery = galleries.get(key);
  const mount = { root: parentElement, trigger: setTriggerValue };
  gallery.mount(mount, data);
  return () => gallery.unmount(mount);
}

class Gallery {
  selected = new Set(); // positions in the data set
  anchor = null; // the place where a range begins
  filter = { kind: "all" }; // or class (with name), changed, found
  query = "";
  view = []; // the positions that are shown
  note = "";
  error = "";
  opened = null; // the position of the large picture

  constructor() {
    this.draft = new Draft({
      onChange: () => this.changed(),
      onRefused: (error) => this.refused(error),
      onKept: () => this.tell(),
    });
  }

  mount(mount, data) {
    const fresh = this.root !== mount.root;
    Object.assign(this, { mounted: mount, root: mount.root, texts: data.texts, data });
    Object.assign(this.draft, { digest: data.digest, token: data.token, texts: data.texts });
    this.found = new Map(data.found.positions.map((position, i) => [position, i]));
    if (fresh) this.wire();
    const link = this.found.size ? "found" : data.first ? `class:${data.first}` : "all";
    if (fresh) this.told = data.view || link;
    if (this.draft.ready) {
      const { changes, queue } = this.draft;
      // A change that was made or taken back elsewhere: on the page around, or in another tab.
      if (data.revision !== changes.length && !queue.length && !this.telling) this.load();
      return this.render();
    }
    this.filter = filterOf(this.told);
    return this.load();
  }

  unmount(mount) {
    // Streamlit may clean up an earlier call after a later one.
    if (this.mounted !== mount) return;
    this.mounted = null;
  }

  async load() {
    try {
      await this.draft.load();
    } catch (error) {
      this.refused(error);
    }
  }

  refused(error) {
    this.error = error.message;
    if (error.status === 403) this.mounted?.trigger("renewal", Date.now());
    this.render();
  }

  // Tells the page around, which shows the changes in words and what they do to the accuracy.
  tell() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      this.telling = null;
      this.mounted?.trigger("changed", Date.now());
    }, TOLD_AFTER);
  }

  // Tells the page around what is shown, so that the address says so when the page loads anew.
  remember() {
    const view = viewOf(this.filter);
    if (!this.draft.ready || view === this.told) return;
    this.told = view;
    this.mounted?.trigger("view", view);
  }

  part(name) {
    return this.root.querySelector(`.${name}`);
  }

  wire() {
    this.grid?.close();
    this.grid = new Grid(this.part("view"), {
      fill: (tile, place) => this.fill(tile, place),
      act: (kind, place, event) => this[kind](place, event),
    });
    const on = (name, act) => (this.part(name).onclick = act);
    const find = this.part("find");
    find.value = this.query;
    find.oninput = () => {
      this.query = find.value.trim().toLowerCase();
      this.choose(this.filter);
    };
    on("every", () => this.selectEvery());
    on("relabel", () => this.askClass());
    on("split_off", () => this.askNewClass());
    on("move", () => this.askPart());
    on("suggested", () => this.takeSuggestions());
    on("delete", () => this.remove());
    on("undo", () => this.step("undo"));
    on("redo", () => this.step("redo"));
    on("rename", () => this.askName());
    on("merge", () => this.askMerge());
    on("delete_class", () => this.removeClass());
    on("keys", () => this.part("help").showModal());
    on("close-help", () => this.part("help").close());
    this.part("mending").onkeydown = (event) => this.key(event);
    wireDialog(this);
    wireLarge(this);
    const find_words = this.texts.parts;
    for (const [name, text] of Object.entries(find_words)) this.part(name).textContent = text;
    find.placeholder = this.texts.find;
    find.setAttribute("aria-label", this.texts.find);
    this.part("keys-table").innerHTML = "";
    for (const [keys, words] of this.texts.keys) {
      const row = this.part("keys-table").insertRow();
      row.insertCell().textContent = keys;
      row.insertCell().textContent = words;
    }
  }

  // What is in view.

  choose(filter) {
    this.filter = filter;
    this.selected.clear();
    this.anchor = null;
    Object.assign(this, { note: "", error: "" });
    this.grid.focus = 0;
    this.part("view").scrollTop = 0;
    this.render();
  }

  look() {
    const { draft, filter, query } = this;
    const wanted = filter.kind === "class" ? draft.classes.indexOf(filter.name) : null;
    const view = [];
    const total = draft.labels.length;
    const order = filter.kind === "found" ? this.data.found.positions : null;
    for (let i = 0; i < (order?.length ?? total); i += 1) {
      const position = order ? order[i] : i;
      const label = draft.labels[position];
      if (label === GONE || label === undefined) continue;
      if (wanted !== null && label !== wanted) continue;
      if (filter.kind === "changed" && !draft.isChanged(position)) continue;
      if (query && !draft.names[position].toLowerCase().includes(query)) continue;
      view.push(position);
    }
    this.view = view;
    const shown = new Set(view);
    for (const position of this.selected) if (!shown.has(position)) this.selected.delete(position);
  }

  // Draws what a change did. A search that fits nothing since then is over.
  changed() {
    const before = this.view.length;
    this.render();
    if (!before || this.view.length || !this.query) return;
    this.query = this.part("find").value = "";
    this.part("large").close();
    this.render();
  }

  render() {
    if (!this.root) return;
    const { draft } = this;
    const counts = draft.counts();
    if (draft.ready && !isThere(this, counts)) this.filter = { kind: "all" };
    this.remember();
    this.look();
    drawChips(this, counts);
    drawTools(this);
    const held = this.root.activeElement?.classList.contains("tile");
    this.grid.show(this.view.length);
    if (held && this.view.length) this.grid.go(this.grid.focus);
    else if (held) this.part("view").focus();
  }

  fill(tile, place) {
    const { draft } = this;
    const position = this.view[place];
    const label = draft.label(position);
    const chosen = this.selected.has(position);
    const hint = this.data.found.hints[this.found.get(position)];
    const changed = draft.isChanged(position);
    const shown = `${position}|${label}|${chosen}|${changed}`;
    if (tile.shown === shown) return;
    tile.shown = shown;
    const picture = tile.firstChild;
    tile.source = this.data.link.replace("{sha256}", draft.contents[position]);
    if (picture.getAttribute("src") !== tile.source) picture.removeAttribute("src");
    this.grid.loading ??= setTimeout(() => this.grid.load(), LOADING_EVERY);
    const suggests = hint && hint !== label && this.filter.kind === "found";
    tile.lastChild.textContent = suggests ? `${label} → ${hint}?` : label;
    tile.title = draft.names[position];
    tile.classList.toggle("changed", changed);
    tile.setAttribute("aria-selected", chosen);
    const values = { name: lastName(draft.names[position]), label, old: draft.oldLabel(position) };
    const words = fill(this.texts.picture, values);
    const was = changed && label !== values.old ? fill(this.texts.was, values) : "";
    const guess = suggests ? fill(this.texts.perhaps, { label: hint }) : "";
    tile.setAttribute("aria-label", words + was + guess);
  }

  // The selection.

  click(place, event) {
    const tile = this.grid.tiles.get(place);
    if (tile?.held) return;
    const position = this.view[place];
    const toggles = event.ctrlKey || event.metaKey || event.pointerType === "touch";
    if (event.shiftKey) this.extend(place);
    else if (toggles) this.toggle(position);
    else {
      this.selected.clear();
      this.selected.add(position);
    }
    if (!event.shiftKey) this.anchor = place;
    this.grid.focus = place;
    this.touched();
    this.grid.go(place);
  }

  toggle(position) {
    if (!this.selected.delete(position)) this.selected.add(position);
  }

  extend(place) {
    const from = this.anchor ?? this.grid.focus;
    this.anchor = from;
    this.selected.clear();
    for (let i = Math.min(from, place); i <= Math.max(from, place); i += 1)
      this.selected.add(this.view[i]);
  }

  selectEvery() {
    const all = this.selected.size === this.view.length;
    this.selected = new Set(all ? [] : this.view);
    this.touched();
  }

  touched() {
    Object.assign(this, { note: "", error: "" });
    drawTools(this);
    this.grid.draw();
  }

  drag(place, event) {
    if (!this.selected.has(this.view[place])) {
      this.selected = new Set([this.view[place]]);
      this.touched();
    }
    event.dataTransfer.setData("text/plain", lastName(this.draft.names[this.view[place]]));
    event.dataTransfer.effectAllowed = "move";
  }

  // The pictures that a key or a tool is about: those chosen, else the one with the focus.
  targets() {
    if (this.opened !== null) return [this.opened];
    if (this.selected.size) return [...this.selected].sort((one, other) => one - other);
    const held = this.root.activeElement?.classList.contains("tile");
    return held && this.view.length ? [this.view[this.grid.focus]] : [];
  }

  // Changes.

  make(change, note) {
    if (!this.draft.ready) return;
    const large = this.opened !== null ? this.view.indexOf(this.opened) : null;
    const count = change.pictures?.length ?? 0;
    this.selected.clear();
    this.anchor = null;
    this.error = "";
    this.note = fill(note, { pictures: this.many(count), to: change.to ?? "", of: change.classes?.[0] });
    this.draft.change(change);
    if (large !== null && this.part("large").open) showLarge(this, large);
  }

  many(count) {
    return fill(count === 1 ? this.texts.one : this.texts.many, { count: number(count) });
  }

  relabel(name) {
    const pictures = this.targets().filter((position) => this.draft.label(position) !== name);
    if (!pictures.length) return;
    const known = this.draft.counts().some((one) => one.name === name);
    this.make({ do: known ? "relabel" : "split_off", pictures, to: name }, this.texts.relabelled);
  }

  takeSuggestions() {
    const groups = new Map();
    for (const position of this.targets()) {
      const hint = this.data.found.hints[this.found.get(position)];
      if (!hint || hint === this.draft.label(position)) continue;
      groups.set(hint, [...(groups.get(hint) ?? []), position]);
    }
    for (const [to, pictures] of groups)
      this.make({ do: "relabel", pictures, to }, this.texts.relabelled);
  }

  remove() {
    const pictures = this.targets();
    if (pictures.length) this.make({ do: "delete", pictures }, this.texts.deleted);
  }

  step(path) {
    if (!this.draft.ready || !this.draft[path]) return;
    this.error = "";
    this.note = fill(this.texts[path], { what: this.draft[path] });
    this.draft.send(`/${path}`);
  }

  askClass(typed = "") {
    if (!this.targets().length) return;
    const counts = this.draft.counts().map(({ name, count }) => ({ name, count }));
    ask(this, {
      title: fill(this.texts.ask_class, { pictures: this.many(this.targets().length) }),
      typed, options: counts, fresh: true, then: (name) => this.relabel(name),
    });
  }

  askNewClass() {
    if (!this.targets().length) return;
    ask(this, {
      title: fill(this.texts.ask_new, { pictures: this.many(this.targets().length) }),
      fresh: true, then: (name) => this.relabel(name),
    });
  }

  askPart() {
    const pictures = this.targets();
    const known = Object.entries(LETTERS).filter(([, letter]) =>
      this.draft.oldSplits.includes(letter));
    ask(this, {
      title: fill(this.texts.ask_part, { pictures: this.many(pictures.length) }),
      options: known.map(([name]) => ({ name: this.texts[`part_${name}`], value: name })),
      then: (to) => this.make({ do: "move", pictures, to }, this.texts.moved),
    });
  }

  askName() {
    const { name } = this.filter;
    ask(this, {
      title: fill(this.texts.ask_name, { name }), typed: name, fresh: true,
      then: (to) => {
        if (to === name) return;
        this.filter = { kind: "class", name: to };
        const known = this.draft.counts().some((one) => one.name === to);
        const change = known
          ? { do: "merge", classes: [name, to], to } : { do: "rename", classes: [name], to };
        this.make(change, this.texts.renamed);
      },
    });
  }

  askMerge() {
    const { name } = this.filter;
    ask(this, {
      title: fill(this.texts.ask_merge, { name }),
      options: this.draft.counts().filter((one) => one.name !== name),
      then: (to) => {
        this.filter = { kind: "class", name: to };
        this.make({ do: "merge", classes: [name, to], to }, this.texts.merged);
      },
    });
  }

  removeClass() {
    const { name } = this.filter;
    ask(this, {
      title: fill(this.texts.ask_delete, { name, pictures: this.many(this.view.length) }),
      confirm: this.texts.parts.delete_class,
      then: () => {
        this.filter = { kind: "all" };
        this.make({ do: "delete", classes: [name] }, this.texts.class_deleted);
      },
    });
  }

  open(place) {
    showLarge(this, place);
  }
}

Object.assign(Gallery.prototype, KEYS);
