// node tests/replay.mjs FOLDER: repeats the episodes of a folder of `examples/record_pinned_episodes.rs` in the module, through the worker of the
// report, and prints one line of JSON per episode.
import fs from "node:fs";
import path from "node:path";
import vm from "node:vm";

const folder = process.argv[2];
const read = (name) => fs.readFileSync(path.join(folder, name), "utf8");
const waiting = new Map();
globalThis.postMessage = (message) => {
  if (message.id !== undefined) waiting.get(message.id)(message);
};
globalThis.onmessage = null;
vm.runInThisContext(read("worker.js"), { filename: "worker.js" });
let number = 0;
const ask = (name, args) => new Promise((resolve, reject) => {
  waiting.set(++number, ({ result, error }) => error === undefined ? resolve(result) : reject(new Error(error)));
  globalThis.onmessage({ data: { id: number, name, args } });
});
const record = JSON.parse(read("record.json"));
await ask("load", { module: read("module.txt"), files: record.files, worldVersion: record.world_version });
for (const episode of record.episodes) {
  await ask("open", episode);
  const start = process.cpuUsage();
  const { steps, same, states, kept, frames, otherState, otherFrame } = await ask("repeat");
  const { user, system } = process.cpuUsage(start);
  const { suite, task } = episode.spec;
  console.log(JSON.stringify({ suite, task, steps, same, states, kept, frames, otherState, otherFrame, seconds: (user + system) / 1e6 }));
}
