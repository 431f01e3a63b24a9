// A tar that never exists as a whole: POSIX ustar, with PAX records where a name or size needs them.

const BLOCK = 512;
const encoder = new TextEncoder();

export class Tar {
  constructor(entries) {
    this.entries = entries;
    this.starts = [];
    this.size = 0;
    for (const entry of entries) {
      this.starts.push(this.size);
      this.size += head(entry).length + entry.file.size + padding(entry.file.size);
    }
    this.size += 2 * BLOCK; // of zeros: the end
  }

  // Bytes `start` to `end`, as a Blob that refers to the files.
  slice(start, end) {
    const inside = this.inside(start, end);
    const parts = inside.flatMap((entry) => [
      head(entry), entry.file, new Uint8Array(padding(entry.file.size)),
    ]);
    parts.push(new Uint8Array(2 * BLOCK));
    const from = inside.length ? this.starts[this.first(start)] : this.size - 2 * BLOCK;
    return new Blob(parts).slice(start - from, end - from);
  }

  // The entries of which bytes `start` to `end` hold a part.
  inside(start, end) {
    let last = this.first(start);
    while (last < this.starts.length && this.starts[last] < end) last += 1;
    return this.entries.slice(this.first(start), last);
  }

  first(byte) {
    let [low, high] = [0, this.starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= byte) low = middle;
      else high = middle;
    }
    return low;
  }
}

function head({ path, file }) {
  const time = Math.max(0, Math.floor(file.lastModified / 1000)) || 0;
  const plain = /^[\x20-\x7e]{1,100}$/.test(path);
  const large = file.size >= 8 ** 11;
  const own = header(plain ? path : "long-name", large ? 0 : file.size, time, "0");
  if (plain && !large) return own;
  const records = encoder.encode(
    (plain ? "" : record("path", path)) + (large ? record("size", file.size) : ""),
  );
  const whole = new Uint8Array(BLOCK + records.length + padding(records.length) + BLOCK);
  whole.set(header("PaxHeader", records.length, time, "x"));
  whole.set(records, BLOCK);
  whole.set(own, whole.length - BLOCK);
  return whole;
}

function header(name, size, time, type) {
  const block = new Uint8Array(BLOCK);
  const put = (place, text) => block.set(encoder.encode(text), place);
  const octal = (place, digits, value) => put(place, value.toString(8).padStart(digits, "0"));
  put(0, name);
  octal(100, 7, 0o644);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, size);
  octal(136, 11, time);
  put(148, " ".repeat(8)); // the checksum counts itself as blanks
  put(156, type);
  put(257, "ustar\x0000");
  octal(148, 6, block.reduce((sum, byte) => sum + byte, 0));
  block[154] = 0;
  return block;
}

// "LENGTH key=value\n", where the length counts its own digits too.
function record(key, value) {
  const rest = ` ${key}=${value}\n`;
  const size = encoder.encode(rest).length;
  let length = size;
  while (length !== size + String(length).length) length = size + String(length).length;
  return length + rest;
}

function padding(size) {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
