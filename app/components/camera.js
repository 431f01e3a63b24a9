// Press and hold to shoot a burst into a class: a card for each class beside a live preview.

const EVERY = 95; // milliseconds between two pictures: each third one of a camera of 30 a second
const SIDE = 640; // pixels of the longer side of a picture
const QUALITY = 0.9; // of the JPEG
const ENCODING = 3; // pictures at once that are being made into a JPEG; then one is left out
const KEEP = 200; // milliseconds in which changes are gathered before they are kept
const LINGER = 1000; // milliseconds for which the camera runs on while no page shows it

// By the component's key. Kept outside the mounted element: the pictures stay while Streamlit
// reruns the page, and while another page of the app is open. `Kept` brings them over a reload.
const cameras = new Map();

export default function ({ data, parentElement, setTriggerValue }) {
  if (!cameras.has(data.key)) cameras.set(data.key, new Camera());
  const camera = cameras.get(data.key);
  const mount = { root: parentElement, trigger: setTriggerValue };
  camera.show(mount, data);
  return () => camera.hide(mount);
}

class Camera extends Sender {
  cards = [];
  presses = 0; // so far, over all classes
  holding = null; // the card and the number of the press while pictures are taken
  encoding = 0; // pictures that are being made into a JPEG now
  removed = null; // how to put back what was removed last
  stream = null;
  trouble = "starting"; // the text that stands instead of the preview; "" while it runs
  device = ""; // the camera that was chosen
  mirror = null; // whether the preview is mirrored; null: as fits the camera

  constructor() {
    super();
    this.canvas = document.createElement("canvas");
    addEventListener("pagehide", (event) => event.persisted || this.withdraw());
    addEventListener("pagehide", () => this.keep(0));
    document.addEventListener("visibilitychange", () => this.letGo());
    addEventListener("blur", () => this.letGo());
    navigator.mediaDevices?.addEventListener("devicechange", () => this.listCameras());
  }

  get unsaved() {
    return this.busy || this.total > 0;
  }

  get total() {
    return this.cards.reduce((sum, { shots }) => sum + shots.length, 0);
  }

  show(mount, data) {
    super.show(mount, data);
    Object.assign(this, { classes: data.classes, fewest: data.fewest, needed: data.needed });
    this.first = data.cards;
    if (!this.cards.length) this.begin();
    if (!this.kept) this.restore(data.key);
    wire(this, mount.root);
    this.render();
    this.report();
    if (!this.stream && this.trouble === "starting") this.start();
  }

  hide(mount) {
    super.hide(mount);
    setTimeout(() => this.mount || this.stop(), LINGER);
  }

  render() {
    super.render();
    this.keep();
  }

  draw(root) {
    draw(this, root);
  }

  // Keeps the pictures that were not sent yet, soon, and all changes until then at once.
  keep(wait = KEEP) {
    if (this.restoring || !this.kept) return;
    clearTimeout(this.keeping);
    const now = () => this.kept.write(this.state(), this.cards.flatMap((card) => card.kept()));
    if (wait) this.keeping = setTimeout(now, wait);
    else now();
  }

  state() {
    const cards = this.cards.map(({ number, typed }) => ({ number, typed }));
    return { cards, presses: this.presses, session: this.session };
  }

  // Brings back what was taken before the page was loaded anew. No picture is taken meanwhile.
  async restore(name) {
    this.kept = new Kept(name);
    this.restoring = true;
    const found = await this.kept.read();
    if (found) await this.bringBack(found);
    this.restoring = false;
    this.render();
  }

  async bringBack({ state: { cards, presses, session }, shots }) {
    Object.assign(this, { presses, session });
    this.cards = cards.map(({ number, typed }) => Object.assign(new Card(this, typed), { number }));
    for (const { number, ...shot } of shots) {
      const picture = await createImageBitmap(shot.blob).catch(() => null);
      const card = this.cards.find((one) => one.number === number);
      if (picture) card?.add({ ...shot, thumb: thumbnail(picture), made: Promise.resolve() });
    }
    const values = { pictures: this.many("picture", this.total) };
    this.turn("idle", { note: fill(this.texts.restored, values) });
  }

  begin() {
    const names = this.first.length || this.aim.into ? this.first : ["", ""];
    Object.assign(this, { presses: 0, removed: null, session: stamp(Date.now()) });
    this.cards = (names.length ? names : [""]).map((name) => new Card(this, name));
    this.cards.forEach((card, position) => card.number = position + 1);
  }

  addCard() {
    const card = new Card(this, "");
    card.number = Math.max(0, ...this.cards.map(({ number }) => number)) + 1;
    this.cards.push(card);
    this.render();
    card.input.focus();
    card.input.select();
  }

  // The camera.

  async start() {
    this.stop();
    this.turnOff("starting");
    if (!navigator.mediaDevices?.getUserMedia) return this.turnOff("insecure");
    const size = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
    const which = this.device ? { deviceId: { exact: this.device } } : { facingMode: "environment" };
    const asked = (this.asked = {});
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which } });
      if (this.asked !== asked || !this.mount) return stream.getTracks().forEach((one) => one.stop());
      this.stream = stream;
      const [track] = stream.getVideoTracks();
      track.onended = () => this.stream === stream && (this.stop(), this.turnOff("stopped"));
      this.device = track.getSettings().deviceId ?? "";
      this.facing = track.getSettings().facingMode ?? "user";
      this.trouble = "";
      await this.listCameras();
    } catch (error) {
      if (this.asked !== asked) return;
      this.device = "";
      this.turnOff(TROUBLES[error.name] ?? "taken");
    }
  }

  turnOff(trouble) {
    this.trouble = trouble;
    this.render();
  }

  stop() {
    this.letGo();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    if (!this.trouble) this.trouble = "starting";
  }

  async listCameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.devices = devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId);
    this.render();
  }

  choose(device) {
    Object.assign(this, { device, mirror: null });
    this.start();
  }

  // Taking pictures.

  hold(card) {
    if (this.holding || this.trouble || this.busy || this.restoring) return;
    this.holding = { card, press: (this.presses += 1), taken: 0, last: -Infinity };
    this.turn("idle");
    this.follow(this.holding);
  }

  // Ends the press, if it is one of this card; without a card, any.
  letGo(card = this.holding?.card) {
    if (!card || this.holding?.card !== card) return;
    const { taken } = this.holding;
    this.holding = null;
    const values = { pictures: this.many("picture", taken), name: card.name };
    this.turn("idle", { note: taken ? fill(this.texts.added, values) : "" });
  }

  many(what, n) {
    return n === 1 ? this.texts[what] : fill(this.texts[what + (what.endsWith("s") ? "es" : "s")], { n: number(n) });
  }

  // Looks at each picture of the camera while the press lasts.
  follow(press) {
    if (this.holding !== press) return;
    const video = this.mount?.root.querySelector("video");
    if (!video) return this.letGo();
    const now = performance.now();
    const due = now - press.last >= EVERY && this.encoding < ENCODING;
    if (due && video.readyState >= 2) {
      press.last = now;
      press.taken += 1;
      this.shoot(video, press);
    }
    const next = () => this.follow(press);
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
    else setTimeout(next, EVERY);
  }

  shoot(video, { card, press }) {
    const { videoWidth: width, videoHeight: height } = video;
    const scale = Math.min(1, SIDE / Math.max(width, height));
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
    const time = Date.now();
    const shot = { id: `${press}-${time}`, press, time, thumb: thumbnail(video) };
    paint(Object.assign(this.canvas, size), video);
    this.encoding += 1;
    shot.made = new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY)).then((blob) => {
      this.encoding -= 1;
      shot.blob = blob;
      this.keep();
    });
    card.add(shot);
    this.render();
  }

  remove(card, shot) {
    const place = card.shots.indexOf(shot);
    card.take(shot);
    this.removed = () => card.add(shot, place);
    this.turn("idle", { note: fill(this.texts.removed, { name: card.name }) });
  }

  removeCard(card) {
    const place = this.cards.indexOf(card);
    this.cards.splice(place, 1);
    this.removed = () => this.cards.splice(place, 0, card);
    const values = { name: card.name, pictures: this.many("picture", card.shots.length) };
    this.turn("idle", { note: fill(this.texts.removed_class, values) });
  }

  undo() {
    this.removed?.();
    this.removed = null;
    this.turn("idle");
  }

  // Sending them.

  // The pictures by class: cards with the same name are one class.
  byName() {
    const found = new Map();
    for (const { name, shots } of this.cards) {
      if (shots.length) found.set(name, [...(found.get(name) ?? []), ...shots]);
    }
    return [...found].map(([name, shots]) => ({ name, shots }));
  }

  get isEnough() {
    const enough = this.byName().filter(({ shots }) => shots.length >= this.fewest);
    return enough.length >= this.needed;
  }

  async use() {
    this.letGo();
    const classes = this.byName();
    await Promise.all(classes.flatMap(({ shots }) => shots.map(({ made }) => made)));
    for (const one of classes) one.shots = one.shots.filter(({ blob }) => blob);
    const entries = bursts(classes, this.session);
    const [, year, month, day, hour, minute] = /(.{4})(..)(..)-(..)(..)/.exec(this.session);
    const values = { day: `${year}-${month}-${day}`, time: `${hour}.${minute}` };
    this.send(`${fill(this.texts.called, values)}.tar`, new Tar(entries), entries);
  }

  // After a reload what was not sent whole is sent anew: see `Kept`.
  mark() {
    return "";
  }

  arrived() {
    this.cards = [];
    this.begin();
    this.keep(0);
  }
}

const TROUBLES = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "none",
  OverconstrainedError: "none",
};

// What is shown.

function wire(camera, root) {
  const part = (name) => root.querySelector(`.${name}`);
  part("start").onclick = () => camera.start();
  part("add-class").onclick = () => camera.addCard();
  part("undo").onclick = () => camera.undo();
  part("use").onclick = () => camera.use();
  part("cameras").onchange = ({ target }) => camera.choose(target.value);
  part("mirror").onchange = ({ target }) => {
    camera.mirror = target.checked;
    camera.render();
  };
}

function draw(camera, root) {
  const { texts, trouble, stream, busy, classes, cards, devices = [], total } = camera;
  const part = (name) => root.querySelector(`.${name}`);
  const write = writer(root);
  for (const [name, text] of Object.entries(texts.parts)) write(name, text);
  part("studio").hidden = busy;
  part("sending").hidden = !busy;
  drawSending(camera, root);
  const place = { port: location.port || 80, origin: location.origin };
  write("waiting", trouble ? fill(texts[trouble], place) : "");
  part("start").hidden = !trouble || trouble === "starting" || trouble === "insecure";
  const video = part("video");
  video.hidden = !stream;
  if (video.srcObject !== stream) {
    video.srcObject = stream;
    if (stream) video.play().catch(() => {}); // interrupted by the next one
  }
  const mirrored = camera.mirror ?? camera.facing !== "environment";
  video.classList.toggle("mirrored", mirrored);
  part("mirror").checked = mirrored;
  part("pick").hidden = devices.length < 2;
  const options = devices.map(({ label, deviceId }, n) => new Option(label || n + 1, deviceId));
  if (part("cameras").length !== options.length) part("cameras").replaceChildren(...options);
  part("cameras").value = camera.device;
  const elements = cards.map(({ element }) => element);
  const list = part("list");
  if (elements.some((one, n) => list.children[n] !== one) || list.children.length !== cards.length)
    list.replaceChildren(...elements);
  if (part("names").childElementCount !== classes.length)
    part("names").replaceChildren(...classes.map((name) => new Option(name)));
  for (const card of cards) drawCard(camera, card);
  part("undo").hidden = !camera.removed;
  write("undo", texts.undo);
  drawFinish(camera, part, write);
  part("use").disabled = !total || !camera.isEnough || Boolean(camera.holding);
}

function drawFinish(camera, part, write) {
  const { texts, cards, total, isEnough, needed, fewest } = camera;
  const names = cards.map(({ name }) => name);
  const same = names.find((name, place) => names.indexOf(name) !== place);
  const missing = isEnough ? "" : fill(needed > 1 ? texts.too_few : "", { classes: needed, fewest });
  write("too-few", same ? fill(texts.same, { name: same }) : missing);
  write("use", fill(texts.use, { pictures: camera.many("picture", total) }));
}

function drawCard(camera, card) {
  const { texts, holding, trouble } = camera;
  const { shots, name, number: n, element } = card;
  const write = writer(element);
  const now = holding?.card === card;
  const presses = new Set(shots.map(({ press }) => press)).size;
  const values = { name, n };
  card.input.placeholder = fill(texts.class, values);
  card.input.setAttribute("aria-label", fill(texts.name_of, values));
  element.querySelector(".remove").setAttribute("aria-label", fill(texts.remove_class, values));
  element.classList.toggle("now", now);
  write("hold", now ? texts.holding : texts.hold);
  card.holder.setAttribute("aria-label", now ? texts.holding : fill(texts.hold_for, values));
  card.holder.disabled = Boolean(trouble);
  const count = `${camera.many("picture", shots.length)}, ${camera.many("press", presses)}`;
  write("count", shots.length ? count : texts.empty);
  card.grid.setAttribute("aria-label", fill(texts.shots, values));
  shots.forEach(({ button }, place) => {
    const words = fill(texts.shot, { n: place + 1, name });
    if (button.title !== words) Object.assign(button, { title: words, ariaLabel: words });
  });
}
