// Keeps in this browser what the camera took and what has not been sent yet: a reload of the page
// loses nothing. Each tab keeps its own, so that two of them never mix or send the same pictures.

const KEPT_FOR = 2 * 24 * 3600 * 1000; // milliseconds, as long as an upload that was broken off
const TAB = "transfer-camera-tab";

class Kept {
  written = new Set(); // the ids of the pictures that are stored
  queue = Promise.resolve();

  constructor(name) {
    this.name = `${tab()} ${name}`;
  }

  // What was kept, as {state, shots: [{id, ...}]} in the order in which they were taken, or null.
  async read() {
    try {
      const stores = await this.stores("readonly");
      const state = await answer(stores.states.get(this.name));
      const shots = await answer(stores.shots.getAll(mine(this.name)));
      this.written = new Set(shots.map(({ id }) => id));
      shots.sort((one, other) => one.time - other.time);
      return state && shots.length ? { state, shots } : null;
    } catch {
      return null; // a browser that keeps nothing, in a private window for example
    }
  }

  // Keeps just these pictures from now on; one change is brought to its end before the next.
  write(state, shots) {
    this.queue = this.queue.then(() => this.replace(state, shots)).catch(() => {});
    return this.queue;
  }

  async replace(state, shots) {
    const stores = await this.stores("readwrite");
    const wanted = new Set(shots.map(({ id }) => id));
    for (const shot of shots) {
      if (!this.written.has(shot.id)) stores.shots.put(shot, [this.name, shot.id]);
    }
    for (const id of this.written) {
      if (!wanted.has(id)) stores.shots.delete([this.name, id]);
    }
    if (shots.length) stores.states.put({ ...state, time: Date.now() }, this.name);
    else stores.states.delete(this.name);
    await stores.done;
    this.written = wanted;
  }

  async stores(mode) {
    this.opened ??= opened();
    const transaction = (await this.opened).transaction(["states", "shots"], mode);
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
    done.catch(() => {});
    return { states: transaction.objectStore("states"), shots: transaction.objectStore("shots"), done };
  }
}

async function opened() {
  const asked = indexedDB.open("transfer-camera", 1);
  asked.onupgradeneeded = () => {
    for (const name of ["states", "shots"]) asked.result.createObjectStore(name);
  };
  const base = await answer(asked);
  await forgetOld(base);
  return base;
}

// Tabs that were closed do not come back for what they kept.
async function forgetOld(base) {
  const transaction = base.transaction(["states", "shots"], "readwrite");
  const [states, shots] = ["states", "shots"].map((name) => transaction.objectStore(name));
  for (const name of await answer(states.getAllKeys())) {
    const { time } = await answer(states.get(name));
    if (Date.now() - time < KEPT_FOR) continue;
    states.delete(name);
    shots.delete(mine(name));
  }
}

function mine(name) {
  return IDBKeyRange.bound([name], [name, []]);
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// What tells this tab from others, also after it was loaded anew.
function tab() {
  try {
    const known = sessionStorage.getItem(TAB) ?? `${Date.now()}-${Math.random()}`;
    sessionStorage.setItem(TAB, known);
    return known;
  } catch {
    return `${Math.random()}`;
  }
}
