// The upload area: a zip, pictures or whole folders, and the question of which class they are.

const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|bmp|gif|tiff?)$/i;
const ARCHIVE = /\.(zip|tar|gz|tgz|bz2|tbz2|xz|txz)$/i;
const TABLE = /\.csv$/i;
const RUN = /\.zip$/i;
const HIDDEN = /^(\..*|__macosx|thumbs\.db|desktop\.ini)$/i;
const MOST_BUTTONS = 24; // of classes to choose from; more are found by typing

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

// Its phases are those of a Sender, and before them looking (through a folder: `seen` files so far)
// and naming (asking for the class of `nameless` pictures).
class Uploader extends Sender {
  seen = 0;
  nameless = []; // as {path, file}, without folders
  proposed = ""; // as their class

  show(mount, data) {
    super.show(mount, data);
    this.classes = data.classes;
    wire(this, mount.root, data.accept);
    this.render();
    this.report();
  }

  draw(root) {
    draw(this, root);
  }

  async drop(items) {
    // All at once: after the first pause the browser takes the list away.
    const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) return this.refuse("no_files");
    const { signal } = (this.control = new AbortController());
    this.seen = 0;
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
      this.seen = found.push({ path: folder + entry.name, file });
      if (this.seen % 500 === 0) this.render();
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
    const tops = new Set(entries.map(({ path }) => path.split("/")[0]));
    if (!entries.length) return this.refuse("nothing");
    const loose = entries.filter(({ path }) => !path.includes("/"));
    const { path, file } = entries[0];
    if (this.aim.purpose === "run") {
      const one = entries.length === 1 && loose.length === 1 && RUN.test(path);
      return one ? this.send(file.name, file, entries) : this.refuse("no_run");
    }
    if (entries.length === 1 && (loose.length || ARCHIVE.test(path)) && !this.isWelcome(path)) {
      if (PICTURE.test(path)) return this.refuse("one_picture", { name: path });
      if (TABLE.test(path)) return this.refuse("lone_table", { name: path });
      return this.send(file.name, file, entries);
    }
    if (loose.some(({ path }) => ARCHIVE.test(path))) return this.refuse("several_archives");
    if (!entries.some(({ path }) => PICTURE.test(path)))
      return this.refuse("no_pictures", { count: number(entries.length) });
    if (this.leavesOpen(entries, tops))
      return this.askClass(entries, loose.length ? "" : [...tops][0]);
    const name = tops.size === 1 && !loose.length ? [...tops][0] : "pictures";
    return this.send(`${name}.tar`, new Tar(entries), entries);
  }

  // A single picture is no data set, but it can be added to one.
  isWelcome(path) {
    return this.aim.into && PICTURE.test(path);
  }

  // Whether nothing says which class the pictures are: neither folders nor a table. What is added
  // to a set may lie in one folder that is not called like any of its classes.
  leavesOpen(entries, tops) {
    if (entries.some(({ path }) => TABLE.test(path))) return false;
    const depth = Math.max(...entries.map(({ path }) => path.split("/").length));
    if (depth === 1) return true;
    return depth === 2 && tops.size === 1 && this.aim.into && !this.classes.includes([...tops][0]);
  }

  askClass(entries, proposed) {
    const loose = entries.map(({ path, file }) => ({ path: path.split("/").at(-1), file }));
    Object.assign(this, { nameless: loose, proposed });
    this.turn("naming");
  }

  nameClass(label) {
    const entries = this.nameless;
    this.aim = { ...this.aim, label };
    return this.send(`${label}.tar`, new Tar(entries), entries);
  }
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
  const several = uploader.aim.purpose === "data";
  Object.assign(part("input-files"), { accept, multiple: several });
  part("choose-folder").hidden = !(several && "webkitdirectory" in part("input-folder"));
  part("sign").toggleAttribute("hidden", !several);
  part("naming").onsubmit = (event) => {
    event.preventDefault();
    const label = part("typed-class").value.trim();
    if (label) uploader.nameClass(label);
    else part("typed-class").focus();
  };
  part("stop-naming").onclick = () => uploader.turn("idle");
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
  const { phase, texts, seen } = uploader;
  const part = (name) => root.querySelector(`.${name}`);
  const write = writer(root);
  const [naming, working] = [phase === "naming", !["idle", "naming"].includes(phase)];
  const shown = working ? "work" : naming ? "naming" : "choices";
  const changed = part(shown).hidden;
  const focused = root.activeElement !== null;
  for (const [button, text] of Object.entries(texts.parts)) write(button, text);
  for (const name of ["choices", "naming", "work"]) part(name).hidden = name !== shown;
  const looking = { doing: texts.looking, figures: fill(texts.looked, { count: number(seen) }) };
  drawSending(uploader, root, phase === "looking" ? looking : undefined);
  if (naming && changed) drawNaming(uploader, part, write);
  const first = { work: "cancel", naming: "typed-class", choices: "choose-files" }[shown];
  if (changed && (focused || naming)) part(first).focus();
}

function drawNaming(uploader, part, write) {
  const { texts, nameless, proposed, classes } = uploader;
  write("question", fill(texts.which, { count: number(nameless.length) }));
  part("typed-class").value = proposed;
  const buttons = classes.slice(0, MOST_BUTTONS).map((name) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name });
    button.onclick = () => uploader.nameClass(name);
    return button;
  });
  part("known").replaceChildren(...buttons);
  part("names").replaceChildren(...classes.map((name) => new Option(name)));
  write("new-class", classes.length ? texts.or_new : texts.new_class);
}

// A file that is let go beside the area would replace the app in its tab.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
