// What the keys do in the gallery; these become methods of it in mending_gallery.js.

const KEYS = {
  key(event) {
    const { key } = event;
    const typing = event.composedPath()[0].matches?.("input");
    if (this.part("ask").open || this.part("help").open) return event.stopPropagation();
    const control = event.ctrlKey || event.metaKey;
    if (typing && !(key === "Escape" || (key === "Enter" && !this.opened))) {
      return event.stopPropagation();
    }
    if (this.act(key, control, event.shiftKey, event.altKey)) {
      event.preventDefault();
      event.stopPropagation();
    }
  },

  // Does what a key asks for; whether it asks for anything.
  act(key, control, shift, alt) {
    const { grid } = this;
    const held = this.root.activeElement;
    const onTile = held?.classList.contains("tile");
    if (control && key.toLowerCase() === "z") return this.done(this.step(shift ? "redo" : "undo"));
    if (control && key.toLowerCase() === "y") return this.done(this.step("redo"));
    if (control && key.toLowerCase() === "a") return this.done(this.selectEvery());
    if (control || alt) return false;
    if (this.opened !== null && largeKey(this, key)) return true;
    if (key === "Escape") return this.done(this.escape(held));
    if (held?.matches("button") && (key === " " || key === "Enter")) return false;
    if (held?.matches("input")) return this.done(key === "Enter" && grid.go(0));
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: grid.columns, ArrowUp: -grid.columns,
      PageDown: grid.columns * grid.rows, PageUp: -grid.columns * grid.rows,
      Home: -grid.count, End: grid.count }[key];
    if (step && (onTile || held === this.part("view"))) return this.done(this.walk(step, shift));
    if (key === " " && onTile) return this.done(this.space());
    if (key === "Enter" && onTile) return this.done(this.open(grid.focus));
    if (key === "Delete" || key === "Backspace") return this.done(this.remove());
    if (key === "?") return this.done(this.part("help").showModal());
    if (key === "/") return this.done(this.part("find").focus());
    if (/^[1-9]$/.test(key)) return this.done(this.byNumber(Number(key)));
    if (/^\p{L}$/u.test(key)) return this.done(this.askClass(key));
    return false;
  },

  done() {
    return true;
  },

  walk(step, shift) {
    const place = Math.max(0, Math.min(this.grid.focus + step, this.grid.count - 1));
    if (shift) this.extend(place);
    else this.anchor = place;
    this.grid.go(place);
    if (shift) this.touched();
  },

  space() {
    this.toggle(this.view[this.grid.focus]);
    this.anchor = this.grid.focus;
    this.touched();
  },

  byNumber(nth) {
    const name = this.draft.counts()[nth - 1]?.name;
    if (name) this.relabel(name);
  },

  escape(held) {
    if (held?.matches("input") && this.query) {
      held.value = this.query = "";
      return this.choose(this.filter);
    }
    this.selected.clear();
    return this.touched();
  },
};
