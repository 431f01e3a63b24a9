// Sends a zip, pictures or whole folders to the server in pieces, and goes on after interruptions.
//
// A folder goes as one `Tar` (tar.js, which is put before this file): each piece is put together
// when its turn comes, from headers and references to files: nothing is read into memory.

const PIECE = { first: 1 << 20, least: 1 << 19, most: 8 << 20 }; // bytes
const QUICK = 0.7, SLOW = 4; // seconds for a piece, after which the next is larger or smaller
const PATIENCE = 120_000; // milliseconds for one answer
const RETRIES = 8; // in a row, then the user is asked
const LONGEST_PAUSE = 30_000;
const SPEED_WINDOW = 15_000; // milliseconds over which the speed is measured
const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|bmp|gif|tiff?)$/i;
const ARCHIVE = /\.(zip|tar|gz|tgz|bz2|tbz2|xz|txz)$/i;
const TABLE = /\.csv$/i;
const RUN = /\.zip$/i;
const HIDDEN = /^(\..*|__macosx|thumbs\.db|desktop\.ini)$/i;

// By the component's key. Kept outside the mounted element: an upload goes on while Streamlit
// reruns the page, and while another page of the app is open.
const uploaders = new Map();

export default function ({ data, parentElement, setTriggerValue }) {
  if (!uploaders.has(data.key)) uploaders.set(data.key, new Uploader());
  const uploader = uploaders.get(data.key);
  const mount = { root: parentElement, trigger: setTriggerValue };
  uploader.show(mount, data);
  return () => uploader.hide(mount);
}

class Refusal extends Error {
  constructor(sentence, status, received) {
    super(sentence);
    Object.assign(this, { status, received });
  }
}

class Uploader {
  phase = "idle"; // or looking, sending, paused
  error = ""; // a sentence
  note = ""; // what it waits for, or what became of the last upload
  sent = 0; // bytes; files while looking
  unreported = null; // the id of an upload that Python does not know of yet

  constructor() {
    addEventListener("beforeunload", (event) => this.phase !== "idle" && event.preventDefault());
    addEventListener("pagehide", (event) => event.persisted || this.withdraw());
  }

  show(mount, data) {
    const { texts, token, purpose } = data;
    Object.assign(this, { mount, texts, token, purpose });
    wire(this, mount.root, data.accept);
    this.render();
    this.report();
  }

  hide(mount) {
    // Streamlit may clean up an earlier call after a later one.
    if (this.mount === mount) this.mount = null;
  }

  render() {
    if (this.mount) draw(this, this.mount.root);
  }

  turn(phase, { error = "", note = "" } = {}) {
    Object.assign(this, { phase, error, note });
    this.render();
  }

  refuse(text, values) {
    this.turn("idle", { error: fill(this.texts[text], values) });
  }

  report() {
    if (!this.unreported || !this.mount) return;
    this.mount.trigger("uploaded", this.unreported);
    this.unreported = null;
  }

  cancel() {
    this.control.abort();
    this.withdraw();
    this.turn("idle", { note: this.texts.cancelled });
  }

  withdraw() {
    if (!this.id) return;
    const headers = { "X-Upload-Token": this.token };
    fetch(address(`/${this.id}`), { method: "DELETE", keepalive: true, headers }).catch(() => {});
    this.id = null;
  }

  async drop(items) {
    // All at once: after the first pause the browser takes the list away.
    const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) return this.refuse("no_files");
    const { signal } = (this.control = new AbortController());
    this.sent = 0;
    this.turn("looking");
    const found = [];
    try {
      for (const entry of entries) await this.look(entry, "", found, signal);
    } catch {
      if (!signal.aborted) this.refuse("unreadable", { name: entries[0].name });
      return;
    }
    this.take(found);
  }

  async look(entry, folder, found, signal) {
    if (HIDDEN.test(entry.name)) return;
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      signal.throwIfAborted();
      this.sent = found.push({ path: folder + entry.name, file });
      if (this.sent % 500 === 0) this.render();
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      // A browser gives at most 100 at a time; only an empty list says that these were all.
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      signal.throwIfAborted();
      if (!some.length) return;
      const inside = `${folder}${entry.name}/`;
      await Promise.all(some.map((one) => this.look(one, inside, found, signal)));
    }
  }

  // Takes what was chosen, a list of {path, file}, or says why it cannot be of use.
  take(found) {
    const entries = found.filter(({ path }) => !path.split("/").some((part) => HIDDEN.test(part)));
    if (!entries.length) return this.refuse("nothing");
    const loose = entries.filter(({ path }) => !path.includes("/"));
    const { path, file } = entries[0];
    if (this.purpose === "run") {
      const one = entries.length === 1 && loose.length === 1 && RUN.test(path);
      return one ? this.send(file.name, file, entries) : this.refuse("no_run");
    }
    if (entries.length === 1 && (loose.length || ARCHIVE.test(path))) {
      if (PICTURE.test(path)) return this.refuse("one_picture", { name: path });
      if (TABLE.test(path)) return this.refuse("lone_table", { name: path });
      return this.send(file.name, file, entries);
    }
    if (loose.some(({ path }) => ARCHIVE.test(path))) return this.refuse("several_archives");
    if (!entries.some(({ path }) => PICTURE.test(path)))
      return this.refuse("no_pictures", { count: number(entries.length) });
    if (loose.length === entries.length && !entries.some(({ path }) => TABLE.test(path)))
      return this.refuse("no_classes");
    const tops = new Set(entries.map(({ path }) => path.split("/")[0]));
    const name = tops.size === 1 && !loose.length ? [...tops][0] : "pictures";
    return this.send(`${name}.tar`, new Tar(entries), entries);
  }

  send(name, body, entries) {
    Object.assign(this, { name, body, entries, id: null, sent: 0, piece: PIECE.first });
    return this.go();
  }

  async go() {
    const { signal } = (this.control = new AbortController());
    this.speeds = [];
    this.turn("sending");
    try {
      if (!this.id) {
        const { name, purpose } = this;
        const asked = JSON.stringify({ name, size: this.body.size, purpose });
        this.id = (await this.insist(() => this.ask("POST", "", asked))).id;
      }
      do {
        while (this.sent < this.body.size) await this.insist((again) => this.sendPiece(again));
      } while (!(await this.insist(() => this.finish())));
    } catch (error) {
      if (!signal.aborted) this.fail(error);
      return;
    }
    const values = { name: this.name, size: bytes(this.body.size) };
    Object.assign(this, { unreported: this.id, id: null, body: null, entries: null });
    this.turn("idle", { note: fill(this.texts.arrived, values) });
    this.report();
  }

  fail(error) {
    const words = error instanceof Refusal ? error.message : this.texts.lost;
    const sentence = fill(words, { sent: bytes(this.sent) });
    // With room made, with the server back: it can go on. After any other refusal it cannot.
    const passing = !(error instanceof Refusal) || error.status >= 500 || error.status === 403;
    if (passing && !(error.status === 507 && !this.id)) {
      this.turn("paused", { error: sentence });
    } else {
      this.withdraw();
      this.turn("idle", { error: sentence });
    }
  }

  async sendPiece(again) {
    if (again) {
      const { received, state } = await this.ask("GET", `/${this.id}`);
      this.sent = received;
      if (state !== "receiving" || received >= this.body.size) return;
    }
    const end = Math.min(this.sent + this.piece, this.body.size);
    const begun = performance.now();
    try {
      const path = `/${this.id}?offset=${this.sent}`;
      this.sent = (await this.ask("PUT", path, this.body.slice(this.sent, end))).received;
    } catch (error) {
      if (!(error instanceof Refusal)) await this.checkReadable(this.sent, end);
      throw error;
    }
    const now = performance.now();
    if (now - begun < QUICK * 1000) this.piece = Math.min(this.piece * 2, PIECE.most);
    if (now - begun > SLOW * 1000) this.piece = Math.max(this.piece / 2, PIECE.least);
    this.speeds.push([now, this.sent]);
    while (now - this.speeds[0][0] > SPEED_WINDOW && this.speeds.length > 2) this.speeds.shift();
    this.note = "";
    this.render();
  }

  async finish() {
    try {
      await this.ask("POST", `/${this.id}/finish`);
      return true;
    } catch (error) {
      if (error.received === undefined) throw error;
      this.sent = error.received;
      return false;
    }
  }

  // Tries until it works or there is no hope; `step` is told how often it failed.
  async insist(step) {
    const { signal } = this.control;
    for (let failures = 0; ; ) {
      try {
        return await step(failures);
      } catch (error) {
        const { status } = error;
        const hopeless = error instanceof Refusal && status < 500 && ![403, 409].includes(status);
        if (hopeless || status === 507 || signal.aborted || failures === RETRIES) throw error;
        // A page that was open for long gets a fresh token by a rerun.
        if (status === 403) this.mount?.trigger("renewal", Date.now());
        // While there is no network at all, there is no sense in giving up.
        failures = Math.min(failures + 1, navigator.onLine ? RETRIES : RETRIES - 1);
        this.note = navigator.onLine ? this.texts.retrying : this.texts.offline;
        this.render();
        await pause(Math.min(250 * 2 ** failures, LONGEST_PAUSE), signal);
      }
    }
  }

  async ask(method, path, body) {
    const response = await fetch(address(path), {
      method,
      body,
      headers: { "X-Upload-Token": this.token },
      signal: AbortSignal.any([this.control.signal, AbortSignal.timeout(PATIENCE)]),
    });
    if (response.ok) return response.json();
    const answer = await response.json().catch(() => ({}));
    throw new Refusal(answer.error ?? this.texts.lost, response.status, answer.received);
  }

  // A request whose file is gone fails like one whose connection is gone.
  async checkReadable(start, end) {
    const files = this.body instanceof Tar ? this.body.inside(start, end) : this.entries;
    for (const { path, file } of files) {
      try {
        await file.slice(0, 1).arrayBuffer();
      } catch {
        throw new Refusal(fill(this.texts.changed, { name: path }), 400);
      }
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((done, fail) => {
    setTimeout(done, milliseconds);
    addEventListener("online", done, { once: true });
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
  });
}

// Pages are one level below the app, wherever the app is.
function address(path) {
  return new URL(`api/uploads${path}`, document.baseURI);
}

// What is shown.

function wire(uploader, root, accept) {
  const part = (name) => root.querySelector(`.${name}`);
  const area = part("area");
  for (const kind of ["files", "folder"]) {
    const [button, input] = [part(`choose-${kind}`), part(`input-${kind}`)];
    button.onclick = () => input.click();
    input.onchange = () => {
      const files = [...input.files];
      input.value = ""; // so that the same choice counts again
      uploader.take(files.map((file) => ({ path: file.webkitRelativePath || file.name, file })));
    };
  }
  const several = uploader.purpose === "data";
  Object.assign(part("input-files"), { accept, multiple: several });
  part("choose-folder").hidden = !(several && "webkitdirectory" in part("input-folder"));
  part("sign").toggleAttribute("hidden", !several);
  part("continue").onclick = () => uploader.go();
  part("cancel").onclick = () => uploader.cancel();
  const over = (event, value) => {
    event.preventDefault();
    area.classList.toggle("over", value && uploader.phase === "idle");
  };
  area.ondragenter = area.ondragover = (event) => over(event, true);
  area.ondragleave = (event) => over(event, area.contains(event.relatedTarget));
  area.ondrop = (event) => {
    over(event, false);
    if (uploader.phase === "idle") uploader.drop(event.dataTransfer.items);
  };
}

function draw(uploader, root) {
  const { phase, texts, error, note, sent, name } = uploader;
  const part = (name) => root.querySelector(`.${name}`);
  // Only what changed: else a screen reader would speak it again.
  const write = (name, text) => part(name).textContent === text || (part(name).textContent = text);
  const [busy, looking] = [phase !== "idle", phase === "looking"];
  const changed = part("work").hidden === busy;
  const focused = root.activeElement !== null;
  for (const [button, text] of Object.entries(texts.parts)) write(button, text);
  part("choices").hidden = busy;
  part("work").hidden = !busy;
  part("continue").hidden = phase !== "paused";
  part("leaving").hidden = phase !== "sending";
  part("bar").hidden = looking;
  part("problem-box").hidden = !error;
  write("problem", error);
  write("note", busy ? "" : note);
  if (busy) {
    const size = uploader.body?.size ?? 0;
    const share = size ? Math.floor((100 * sent) / size) : 0;
    const values = { count: number(sent), sent: bytes(sent), size: bytes(size), share, name };
    const figures = fill(looking ? texts.looked : texts.figures, values);
    const doing = fill(looking ? texts.looking : texts.sending, values);
    write("doing", doing);
    write("figures", figures);
    write("left", note || (phase === "sending" ? timeLeft(uploader, size) : ""));
    part("filled").style.width = `${share}%`;
    part("bar").setAttribute("aria-valuenow", share);
    part("bar").setAttribute("aria-valuetext", figures);
    // Not every step is spoken: each quarter, and what stands in the way.
    write("spoken", note || `${doing} ${looking ? "" : `${share - (share % 25)} %`}`);
  }
  if (focused && changed) part(busy ? "cancel" : "choose-files").focus();
}

function timeLeft({ speeds, sent, texts }, size) {
  const [[since, from] = []] = speeds;
  const seconds = speeds.length ? (speeds.at(-1)[0] - since) / 1000 : 0;
  if (seconds < 2 || sent === from) return "";
  const minutes = ((size - sent) / ((sent - from) / seconds)) / 60;
  if (minutes < 0.9) return texts.under_a_minute;
  if (minutes < 1.5) return texts.a_minute;
  if (minutes < 90) return fill(texts.minutes, { n: Math.round(minutes) });
  return fill(texts.hours, { n: Math.round(minutes / 60) });
}

function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function number(value) {
  return value.toLocaleString("en");
}

function bytes(size) {
  for (const [unit, name] of [[2 ** 30, "GB"], [2 ** 20, "MB"], [2 ** 10, "KB"]]) {
    if (size >= unit) return `${(size / unit).toFixed(unit === 2 ** 30 ? 1 : 0)} ${name}`;
  }
  return `${size} bytes`;
}

// A file that is let go beside the area would replace the app in its tab.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
