// Which pictures of the camera belong together, and under which names they are sent.
//
// Pictures of one press are alike: if some of them taught and others tested, the test would be too
// easy. So each press is a group. A class of one long press would then have nothing to be tested
// with: where there are fewer than `FEW` presses, long ones are cut into parts that follow upon
// each other. Where two parts meet they are still alike; the page asks for more presses instead.

const FEW = 5; // groups, with which a class can be tested in turns
const LEAST = 8; // pictures of a part: about a second

// The files for the upload, as {path, file}, with a table of file, label and group.
// `classes`: [{name, shots: [{blob, press, time}]}], in the order in which they were taken;
// `session`: a text that no other visit to the camera has.
export function bursts(classes, session) {
  const rows = [["file", "label", "group"]];
  const entries = [];
  for (const { name, shots } of classes) {
    for (const { group, members } of groups(shots, session)) {
      members.forEach(({ blob, time }, position) => {
        const number = String(position + 1).padStart(4, "0");
        const path = `${folder(name)}/${group}/${number}.jpg`;
        entries.push({ path, file: new File([blob], path, { lastModified: time }) });
        rows.push([path, name, group]);
      });
    }
  }
  const table = rows.map((row) => row.map(quoted).join(",") + "\n");
  return [{ path: "labels.csv", file: new File(table, "labels.csv") }, ...entries];
}

// When a visit began, on the clock of this device: 20261231-235959.
export function stamp(time) {
  const moment = new Date(time - new Date(time).getTimezoneOffset() * 60_000).toISOString();
  return moment.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

function groups(shots, session) {
  const presses = new Map();
  for (const shot of shots) {
    if (!presses.has(shot.press)) presses.set(shot.press, []);
    presses.get(shot.press).push(shot);
  }
  const wanted = Math.ceil(FEW / presses.size);
  return [...presses].flatMap(([press, members]) => {
    const name = `burst-${session}-${String(press).padStart(2, "0")}`;
    const parts = Math.max(1, Math.min(wanted, Math.floor(members.length / LEAST)));
    if (parts === 1) return [{ group: name, members }];
    return Array.from({ length: parts }, (_, part) => ({
      group: `${name}-part-${part + 1}`,
      members: members.slice(
        Math.round((part * members.length) / parts),
        Math.round(((part + 1) * members.length) / parts),
      ),
    }));
  });
}

// A class as the name of a folder. Equal ones do no harm: the groups below it have their own names.
function folder(name) {
  return name.replaceAll(/[\\/:*?"<>|\x00-\x1f]/g, "-").replace(/^[. ]+/, "") || "class";
}

function quoted(cell) {
  return `"${cell.replaceAll('"', '""')}"`;
}
