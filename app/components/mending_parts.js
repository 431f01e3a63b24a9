// What stands around the gallery: chips, tools, the large picture and the questions.

const KINDS = ["all", "found", "changed", "class"];

// What is shown, as the address has it: "all", or "class:" and its name, which may have colons.
function viewOf({ kind, name }) {
  return kind === "class" ? `class:${name}` : kind;
}

function filterOf(view) {
  const [kind, ...name] = view.split(":");
  return KINDS.includes(kind) ? { kind, name: name.join(":") } : { kind: "all" };
}

// Whether there is a chip for what is shown.
function isThere({ draft, filter, found }, counts) {
  if (filter.kind === "class") return counts.some(({ name }) => name === filter.name);
  if (filter.kind === "found") return found.size > 0;
  if (filter.kind === "changed") return draft.labels.some((_, i) => draft.isChanged(i));
  return true;
}

function drawChips(gallery, counts) {
  const { draft, texts, filter, data } = gallery;
  const alive = counts.reduce((sum, { count }) => sum + count, 0);
  const changed = draft.labels.filter((_, position) => draft.isChanged(position)).length;
  const chips = [{ kind: "all", text: texts.all, count: alive }];
  if (gallery.found.size) {
    const left = data.found.positions.filter((one) => draft.labels[one] !== GONE).length;
    chips.push({ kind: "found", text: data.found.label, count: left });
  }
  if (changed) chips.push({ kind: "changed", text: texts.changed, count: changed });
  counts.forEach(({ name, count }, i) =>
    chips.push({ kind: "class", name, text: name, count, number: i < 9 ? i + 1 : null }));
  const box = gallery.part("chips");
  const held = box.contains(gallery.root.activeElement) && gallery.root.activeElement.dataset.key;
  const key = ({ kind, name }) => `${kind}:${name ?? ""}`;
  while (box.children.length > chips.length) box.lastChild.remove();
  while (box.children.length < chips.length) {
    const button = document.createElement("button");
    button.type = "button";
    box.append(button);
  }
  chips.forEach((chip, i) => {
    const button = box.children[i];
    button.className = `chip ${chip.kind}`;
    button.textContent = `${chip.text} ${number(chip.count)}`;
    button.dataset.key = key(chip);
    if (chip.number) button.dataset.number = chip.number;
    else delete button.dataset.number;
    button.setAttribute("aria-pressed", key(chip) === key(filter));
    button.title = chip.number ? fill(texts.chip, { name: chip.name, number: chip.number }) : "";
    button.onclick = () => gallery.choose({ kind: chip.kind, name: chip.name });
    const takes = chip.kind === "class";
    button.ondragover = takes ? (event) => {
      event.preventDefault();
      button.classList.add("over");
    } : null;
    button.ondragleave = () => button.classList.remove("over");
    button.ondrop = takes ? (event) => {
      event.preventDefault();
      button.classList.remove("over");
      gallery.relabel(chip.name);
    } : null;
    if (held === button.dataset.key) button.focus();
  });
}

function drawTools(gallery) {
  const { draft, texts, selected, view, filter } = gallery;
  const part = (name) => gallery.part(name);
  // Only what changed: else a screen reader would speak it again.
  const write = (name, text) => part(name).textContent === text || (part(name).textContent = text);
  const count = selected.size;
  for (const name of ["relabel", "split_off", "move", "delete"]) part(name).disabled = !count;
  part("undo").disabled = !draft.undo;
  part("redo").disabled = !draft.redo;
  part("undo").title = draft.undo ?? "";
  part("redo").title = draft.redo ?? "";
  part("move").hidden = new Set(draft.oldSplits.replaceAll("r", "")).size < 2;
  part("suggested").hidden = !gallery.data.found.hints.some(Boolean) || filter.kind !== "found";
  part("suggested").disabled = !count;
  part("every").disabled = !view.length;
  write("every", view.length && count === view.length ? texts.none : texts.parts.every);
  for (const name of ["rename", "merge", "delete_class"]) part(name).hidden = filter.kind !== "class";
  part("merge").disabled = draft.counts().length < 2;
  const shown = fill(texts.shown, { pictures: gallery.many(view.length) });
  const chosen = count ? fill(texts.chosen, { count: number(count) }) : "";
  write("shown", draft.ready ? shown + chosen : gallery.error ? "" : texts.loading);
  write("note", gallery.note);
  write("problem", gallery.error);
  part("problem").hidden = !gallery.error;
  part("nothing").hidden = !draft.ready || view.length > 0;
}

// Asks for a name or a choice: {title, typed, options: [{name, count, value}], fresh, confirm, then}.
function ask(gallery, question) {
  const dialog = gallery.part("ask");
  gallery.asked = { ...question, from: gallery.root.activeElement };
  dialog.querySelector(".ask-title").textContent = question.title;
  const input = dialog.querySelector(".ask-input");
  input.hidden = Boolean(question.confirm) || !(question.fresh || (question.options ?? []).length > 8);
  input.value = question.typed ?? "";
  input.setAttribute("aria-label", question.title);
  input.placeholder = question.fresh ? gallery.texts.type_class : gallery.texts.type_some;
  drawOptions(gallery);
  dialog.showModal();
  const first = input.hidden ? dialog.querySelector(".option, .ask-yes:not([hidden])") : input;
  first?.focus();
  if (!input.hidden) input.setSelectionRange(input.value.length, input.value.length);
}

function drawOptions(gallery) {
  const dialog = gallery.part("ask");
  const { options = [], fresh, confirm } = gallery.asked;
  const typed = dialog.querySelector(".ask-input").value.trim().replace(/\s+/g, " ");
  const begins = (name) => name.toLowerCase().startsWith(typed.toLowerCase());
  const within = ({ name }) => name.toLowerCase().includes(typed.toLowerCase());
  const fits = options.filter(within).sort((a, b) => begins(b.name) - begins(a.name));
  const exact = options.some(({ name }) => name === typed);
  const box = dialog.querySelector(".options");
  box.replaceChildren(...fits.slice(0, 40).map((option) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "option" });
    button.textContent = option.name;
    if (option.count) button.dataset.count = number(option.count);
    button.onclick = () => answer(gallery, option.value ?? option.name);
    return button;
  }));
  const yes = dialog.querySelector(".ask-yes");
  const makes = Boolean(fresh && typed && !exact);
  yes.hidden = !(confirm || makes);
  yes.classList.toggle("main", !fits.length);
  yes.textContent = confirm ?? fill(options.length ? gallery.texts.make : gallery.texts.use, { name: typed });
  yes.onclick = () => answer(gallery, confirm ? true : typed);
  // Enter takes the first of these.
  gallery.asked.first = fits.length && (typed || !fresh) ? fits[0].value ?? fits[0].name
    : makes ? typed : null;
  box.firstChild?.classList.toggle("first", gallery.asked.first !== null && fits.length > 0);
}

function answer(gallery, value) {
  const { then, from } = gallery.asked;
  gallery.part("ask").close();
  from?.focus?.();
  then(value);
}

function wireDialog(gallery) {
  const dialog = gallery.part("ask");
  const input = dialog.querySelector(".ask-input");
  input.oninput = () => drawOptions(gallery);
  input.onkeydown = (event) => {
    if (event.key === "Enter" && gallery.asked.first !== null) {
      event.preventDefault();
      answer(gallery, gallery.asked.first);
    }
    if (event.key === "ArrowDown") {
      event.preventDefault();
      dialog.querySelector(".option, .ask-yes:not([hidden])")?.focus();
    }
  };
  dialog.querySelector(".options").onkeydown = (event) => {
    const move = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!move) return;
    event.preventDefault();
    (event.target[move] ?? (input.hidden ? event.target : input)).focus();
  };
  dialog.querySelector(".ask-no").onclick = () => dialog.close();
}

function lastName(name) {
  return name.split("/").at(-1);
}

// The large picture.

function wireLarge(gallery) {
  const dialog = gallery.part("large");
  gallery.part("close-large").onclick = () => dialog.close();
  gallery.part("earlier").onclick = () => showLarge(gallery, gallery.view.indexOf(gallery.opened) - 1);
  gallery.part("later").onclick = () => showLarge(gallery, gallery.view.indexOf(gallery.opened) + 1);
  gallery.part("large-relabel").onclick = () => gallery.askClass();
  gallery.part("large-delete").onclick = () => gallery.remove();
  dialog.onclose = () => {
    const place = gallery.view.indexOf(gallery.opened);
    gallery.opened = null;
    if (place >= 0) gallery.grid.go(place);
  };
}

function showLarge(gallery, place) {
  const { draft, view, data, texts } = gallery;
  const dialog = gallery.part("large");
  if (!view.length) return dialog.close();
  const at = Math.max(0, Math.min(place, view.length - 1));
  const position = view[at];
  gallery.opened = position;
  const values = { name: draft.names[position], label: draft.label(position) };
  const picture = gallery.part("large-picture");
  picture.src = data.original.replace("{position}", position);
  picture.alt = fill(texts.picture, { ...values, name: lastName(values.name) });
  const was = draft.oldLabel(position);
  gallery.part("large-label").textContent =
    values.label + (was === values.label ? "" : fill(texts.was, { old: was }));
  gallery.part("large-name").textContent = values.name;
  gallery.part("large-place").textContent =
    fill(texts.place, { place: number(at + 1), count: number(view.length) });
  gallery.part("earlier").disabled = at === 0;
  gallery.part("later").disabled = at === view.length - 1;
  if (!dialog.open) dialog.showModal();
  return undefined;
}

function largeKey(gallery, key) {
  const place = gallery.view.indexOf(gallery.opened);
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
  if (key === "Escape") gallery.part("large").close();
  else if (step) showLarge(gallery, place + step);
  else if (key === "Delete" || key === "Backspace") gallery.remove();
  else if (/^[1-9]$/.test(key)) gallery.byNumber(Number(key));
  else if (/^\p{L}$/u.test(key)) gallery.askClass(key);
  else return false;
  return true;
}
