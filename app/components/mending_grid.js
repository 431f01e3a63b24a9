// A grid of square pictures of which only those in view are in the document.

const GAP = 4, CAPTION = 20; // pixels
const LOADING_EVERY = 80; // milliseconds: who scrolls past pictures does not load them
const SPARE_ROWS = 1; // above and below what is seen

class Grid {
  tiles = new Map(); // by their place in the view
  spare = [];
  count = 0;
  focus = 0; // the place that Tab leads to

  // `fill(tile, place)` writes what stands on a tile; `act(kind, place, event)` is told of presses.
  constructor(box, { fill, act }) {
    Object.assign(this, { box, fill, act, space: box.querySelector(".space") });
    box.onscroll = () => this.draw();
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(box);
  }

  close() {
    this.sizes.disconnect();
    clearTimeout(this.loading);
  }

  get columns() {
    const least = this.box.clientWidth < 480 ? 84 : 104;
    return Math.max(3, Math.floor((this.box.clientWidth + GAP) / (least + GAP)));
  }

  get side() {
    return (this.box.clientWidth - GAP * (this.columns - 1)) / this.columns;
  }

  get step() {
    return this.side + CAPTION + GAP;
  }

  get rows() {
    return Math.max(1, Math.floor(this.box.clientHeight / this.step));
  }

  // Shows so many pictures; the place with the focus stays as near as can be.
  show(count) {
    this.count = count;
    this.focus = Math.max(0, Math.min(this.focus, count - 1));
    for (const tile of this.tiles.values()) tile.shown = null;
    this.draw();
  }

  draw() {
    const { columns, side, step, box } = this;
    if (!box.clientWidth) return;
    this.space.style.height = `${Math.ceil(this.count / columns) * step}px`;
    const top = Math.max(0, Math.floor(box.scrollTop / step) - SPARE_ROWS);
    const end = Math.ceil((box.scrollTop + box.clientHeight) / step) + SPARE_ROWS;
    const [first, last] = [top * columns, Math.min(this.count, end * columns)];
    for (const [place, tile] of this.tiles) {
      // The one with the focus stays, wherever it is: else the keyboard would lose its place.
      const held = place === this.focus && place < this.count;
      if ((place >= first && place < last) || held) continue;
      this.tiles.delete(place);
      this.spare.push(tile);
      tile.remove();
    }
    for (let place = first; place < last; place += 1) this.place(place, columns, side, step);
    if (this.count) this.place(this.focus, columns, side, step);
    this.loading ??= setTimeout(() => this.load(), LOADING_EVERY);
  }

  place(place, columns, side, step) {
    let tile = this.tiles.get(place);
    if (!tile) {
      tile = this.spare.pop() ?? this.make();
      tile.shown = null;
      this.tiles.set(place, tile);
      this.space.append(tile);
    }
    const [x, y] = [(place % columns) * (side + GAP), Math.floor(place / columns) * step];
    tile.style.cssText = `width:${side}px;height:${side + CAPTION}px;left:${x}px;top:${y}px`;
    tile.tabIndex = place === this.focus ? 0 : -1;
    tile.setAttribute("aria-posinset", place + 1);
    tile.setAttribute("aria-setsize", this.count);
    tile.at = place;
    this.fill(tile, place);
  }

  make() {
    const tile = document.createElement("div");
    tile.className = "tile";
    tile.setAttribute("role", "option");
    tile.draggable = true;
    const picture = document.createElement("img");
    Object.assign(picture, { alt: "", draggable: false, decoding: "async" });
    const caption = document.createElement("span");
    tile.append(picture, caption);
    tile.onclick = (event) => this.act("click", tile.at, event);
    tile.ondblclick = (event) => this.act("open", tile.at, event);
    tile.ondragstart = (event) => this.act("drag", tile.at, event);
    this.listenForLongPress(tile);
    return tile;
  }

  listenForLongPress(tile) {
    let timer = 0;
    const end = () => clearTimeout(timer);
    tile.onpointerdown = (event) => {
      tile.held = false;
      if (event.pointerType !== "touch") return;
      timer = setTimeout(() => {
        tile.held = true; // the click that follows is none
        this.act("open", tile.at, event);
      }, 500);
    };
    tile.onpointerup = tile.onpointercancel = tile.onpointerleave = end;
    tile.oncontextmenu = (event) => event.pointerType === "touch" && event.preventDefault();
  }

  load() {
    this.loading = undefined;
    for (const tile of this.tiles.values()) {
      const picture = tile.firstChild;
      if (picture.getAttribute("src") !== tile.source) picture.src = tile.source;
    }
  }

  // Moves the focus of the keyboard to a place and brings it into view.
  go(place) {
    if (!this.count) return;
    this.focus = Math.max(0, Math.min(place, this.count - 1));
    const top = Math.floor(this.focus / this.columns) * this.step;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + this.step > scrollTop + clientHeight)
      this.box.scrollTop = top + this.step - clientHeight;
    this.draw();
    this.tiles.get(this.focus).focus({ preventScroll: true });
  }
}
