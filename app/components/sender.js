// Sends bytes to the server in pieces, and goes on after interruptions.
//
// What is sent is a file or a `Tar` (tar.js, which is put before this file): of a tar each piece is
// put together when its turn comes, from headers and references: nothing is read into memory.

const PIECE = { first: 1 << 20, least: 1 << 19, most: 8 << 20 }; // bytes
const QUICK = 0.7, SLOW = 4; // seconds for a piece, after which the next is larger or smaller
const PATIENCE = 120_000; // milliseconds for one answer
const RETRIES = 8; // in a row, then the user is asked
const LONGEST_PAUSE = 30_000;
const SPEED_WINDOW = 15_000; // milliseconds over which the speed is measured
const SAMPLE = 1 << 16; // bytes at either end by which something is known again

class Refusal extends Error {
  constructor(sentence, status, received) {
    super(sentence);
    Object.assign(this, { status, received });
  }
}

// What an area of a page sends; a descendant draws it, as `draw(root)`.
class Sender {
  phase = "idle"; // or sending, paused, and what the area does before
  error = ""; // a sentence
  note = ""; // what it waits for, or what became of the last upload
  sent = 0; // bytes
  found = 0; // bytes that were there already, from before the page was loaded anew
  aim = {}; // what is to become of it, as the server wants it
  unreported = null; // the id of an upload that Python does not know of yet

  constructor() {
    addEventListener("beforeunload", (event) => this.unsaved && event.preventDefault());
  }

  // Whether leaving the app would cost something.
  get unsaved() {
    return this.busy;
  }

  get busy() {
    return this.phase !== "idle";
  }

  show(mount, { texts, token, aim }) {
    Object.assign(this, { mount, texts, token });
    if (!this.busy) this.aim = aim;
    wireSending(this, mount.root);
  }

  hide(mount) {
    // Streamlit may clean up an earlier call after a later one.
    if (this.mount === mount) this.mount = null;
  }

  render() {
    if (this.mount) this.draw(this.mount.root);
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
    this.control?.abort();
    this.withdraw();
    this.turn("idle", { note: this.texts.cancelled });
  }

  withdraw() {
    if (!this.id) return;
    const headers = { "X-Upload-Token": this.token };
    fetch(address(`/${this.id}`), { method: "DELETE", keepalive: true, headers }).catch(() => {});
    this.id = null;
  }

  send(name, body, entries) {
    Object.assign(this, { name, body, entries, id: null, sent: 0, found: 0, piece: PIECE.first });
    return this.go();
  }

  async go() {
    const { signal } = (this.control = new AbortController());
    this.speeds = [];
    this.turn("sending");
    try {
      if (!this.id) {
        const [{ name, aim }, mark] = [this, await this.mark()];
        const asked = JSON.stringify({ name, size: this.body.size, mark, ...aim });
        const begun = await this.insist(() => this.ask("POST", "", asked));
        this.id = begun.id;
        this.sent = this.found = begun.received;
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
    this.arrived();
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

  // What an area does once all is there.
  arrived() {}

  // By which the server knows the same files again when they are chosen anew.
  async mark() {
    const { size } = this.body;
    const facts = this.entries.map(({ path, file }) => [path, file.size, file.lastModified]);
    const ends = [this.body.slice(0, SAMPLE), this.body.slice(Math.max(0, size - SAMPLE), size)];
    try {
      return hash(new Uint8Array(await new Blob([JSON.stringify(facts), ...ends]).arrayBuffer()));
    } catch {
      return ""; // it cannot be read; sending it will say so
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

// 53 bits (cyrb53): the browser's own digests are only there on secure pages.
function hash(data) {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (const byte of data) {
    a = Math.imul(a ^ byte, 2654435761);
    b = Math.imul(b ^ byte, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(16);
}

// Pages are one level below the app, wherever the app is.
function address(path) {
  return new URL(`api/uploads${path}`, document.baseURI);
}

// What is shown.

function wireSending(sender, root) {
  root.querySelector(".continue").onclick = () => sender.go();
  root.querySelector(".cancel").onclick = () => sender.cancel();
}

// Only what changed is written: else a screen reader would speak it again.
function writer(root) {
  const part = (name) => root.querySelector(`.${name}`);
  return (name, text) => part(name).textContent === text || (part(name).textContent = text);
}

// The part that all areas have: how far it is, what stands in the way, what became of it. Where
// there is nothing to count yet, `doing` and `figures` say what is done.
function drawSending(sender, root, { doing, figures } = {}) {
  const { phase, texts, error, note, sent, found, name } = sender;
  const part = (name) => root.querySelector(`.${name}`);
  const write = writer(root);
  const counting = doing === undefined;
  part("continue").hidden = phase !== "paused";
  part("leaving").hidden = phase !== "sending";
  part("bar").hidden = !counting;
  part("problem-box").hidden = !error;
  write("problem", error);
  write("note", sender.busy ? "" : note);
  if (!sender.busy) return;
  const size = sender.body?.size ?? 0;
  const share = size ? Math.floor((100 * sent) / size) : 0;
  const values = { sent: bytes(sent), size: bytes(size), share, name, found: bytes(found) };
  doing ??= fill(found ? texts.going_on : texts.sending, values);
  figures ??= fill(texts.figures, values);
  write("doing", doing);
  write("figures", figures);
  write("left", note || (phase === "sending" ? timeLeft(sender, size) : ""));
  part("filled").style.width = `${share}%`;
  part("bar").setAttribute("aria-valuenow", share);
  part("bar").setAttribute("aria-valuetext", figures);
  // Not every step is spoken: each quarter, and what stands in the way.
  write("spoken", note || `${doing} ${counting ? `${share - (share % 25)} %` : ""}`);
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
