// A class of the camera: its name, the button to hold, and its pictures.

const THUMB = 72; // pixels of the shorter side of a small picture

// The newest picture is shown first.
class Card {
  shots = []; // in the order in which they were taken

  constructor(camera, name) {
    Object.assign(this, { camera, typed: name });
    this.element = document.createElement("article");
    this.element.className = "card";
    this.element.innerHTML = `
      <div class="head">
        <input class="name" list="names" maxlength="80" autocomplete="off">
        <button type="button" class="remove">\u00d7</button>
      </div>
      <button type="button" class="hold"></button>
      <p class="count number"></p>
      <div class="shots" role="group"></div>`;
    const part = (name) => this.element.querySelector(`.${name}`);
    [this.input, this.holder, this.grid] = [part("name"), part("hold"), part("shots")];
    this.input.value = name;
    this.input.oninput = () => {
      this.typed = this.input.value;
      camera.render();
    };
    part("remove").onclick = () => camera.removeCard(this);
    wireHold(this.holder, {
      begin: () => camera.hold(this),
      end: () => camera.letGo(this),
      isHeld: () => camera.holding?.card === this,
    });
    this.grid.onkeydown = (event) => this.move(event);
  }

  get name() {
    return this.typed.trim() || fill(this.camera.texts.class, { n: this.number });
  }

  add(shot, place = this.shots.length) {
    shot.button ??= this.button(shot);
    const after = this.shots[place - 1]?.button ?? null;
    this.shots.splice(place, 0, shot);
    if (after) after.before(shot.button);
    else this.grid.append(shot.button);
    this.rove(this.grid.firstChild);
  }

  take(shot) {
    const focused = shot.button.matches(":focus");
    const next = shot.button.nextElementSibling ?? shot.button.previousElementSibling;
    this.shots.splice(this.shots.indexOf(shot), 1);
    shot.button.remove();
    if (next) this.rove(next);
    if (focused) (next ?? this.holder).focus();
  }

  // What has to be kept of the pictures, those that are made already.
  kept() {
    const made = this.shots.filter(({ blob }) => blob);
    return made.map(({ id, press, time, blob }) => ({ id, press, time, blob, number: this.number }));
  }

  button(shot) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "shot";
    button.append(shot.thumb);
    button.onclick = () => this.camera.remove(this, shot);
    button.onfocus = () => this.rove(button);
    return button;
  }

  // Of many pictures only one is reached by Tab; the arrows lead to the others.
  rove(button) {
    this.reached?.setAttribute("tabindex", "-1");
    for (const one of [this.grid.firstChild, button]) one.setAttribute("tabindex", "-1");
    button.setAttribute("tabindex", "0");
    this.reached = button;
  }

  move(event) {
    const { key, target } = event;
    const ways = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" };
    if (key === "Delete" || key === "Backspace") target.click();
    else if (ways[key]) target[ways[key]]?.focus();
    else if (key === "Home") this.grid.firstChild.focus();
    else if (key === "End") this.grid.lastChild.focus();
    else return;
    event.preventDefault();
  }
}

// A button that acts as long as it is held: by pointer, by Space or Enter. What presses it in one
// go, as some aids do, begins, and ends at the next time.
function wireHold(button, { begin, end, isHeld }) {
  button.onpointerdown = (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    begin();
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"])
    button.addEventListener(name, end);
  const isKey = ({ key }) => key === " " || key === "Enter";
  button.onkeydown = (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  };
  button.onkeyup = (event) => {
    if (!isKey(event)) return;
    event.preventDefault(); // or Space would press it once more
    end();
  };
  button.onclick = (event) => {
    if (event.detail === 0) (isHeld() ? end : begin)();
  };
  button.oncontextmenu = (event) => event.preventDefault(); // of a long touch
}

function paint(canvas, picture) {
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
}

// Of what the camera shows, or of a picture.
function thumbnail(source) {
  const { videoWidth: width = source.width, videoHeight: height = source.height } = source;
  const scale = THUMB / Math.min(width, height);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const canvas = Object.assign(document.createElement("canvas"), size);
  paint(canvas, source);
  return canvas;
}
