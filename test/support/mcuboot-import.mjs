// Makes test/vectors/mcuboot from folders of MCUboot recordings: keeps what the replay compares, drops logs and dumps.
//   node test/support/mcuboot-import.mjs FOLDER ...
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";

const folders = process.argv.slice(2);
if (folders.length === 0) throw new Error("Usage: node test/support/mcuboot-import.mjs FOLDER ...");
const target = new URL("../vectors/mcuboot/", import.meta.url);

/** Of a step or an outcome; the rest is for diagnosis or follows from what stays. */
const DROPPED = new Set([
  "log",
  "counter_updates",
  "rc_text",
  "flash_after_cut",
  "note",
  "writes_over_unerased",
  "misaligned_calls",
]);

const read = (path) =>
  JSON.parse((path.endsWith(".gz") ? gunzipSync(readFileSync(path)) : readFileSync(path)).toString("utf8"));
const write = (name, value) =>
  writeFileSync(new URL(`${name}.json.gz`, target), gzipSync(JSON.stringify(value), { level: 9 }));

/** An object with a property of this name would pass for a promise. */
function rename(outcome) {
  if (outcome.then === undefined) return;
  outcome.afterwards = outcome.then;
  delete outcome.then;
}

const used = new Set(["A.ed25519", "B.ed25519"]); // what a trailer matrix starts from
const keys = {};
const images = {};
for (const folder of folders)
  for (const file of readdirSync(folder).filter((name) => /\.json(\.gz)?$/.test(name))) {
    const name = file.replace(/\.json(\.gz)?$/, "");
    if (name === "images") {
      const recipes = read(`${folder}/${file}`);
      // the device's own encryption keys are what a board is made with; of signing keys the public half is
      for (const [id, { public_der, private: own }] of Object.entries(recipes.keys))
        keys[id] = /enc\./.test(id) ? own : public_der;
      Object.assign(images, recipes.images);
      continue;
    }
    const { config, contents, scenarios } = read(`${folder}/${file}`);
    const kept = JSON.parse(
      JSON.stringify({ config, contents: contents.map(({ sha256 }) => sha256), scenarios }),
      (key, value) => (DROPPED.has(key) ? undefined : value),
    );
    for (const { steps } of kept.scenarios)
      for (const step of steps) {
        for (const one of [step, ...(step.outcomes ?? []).flat()])
          if (typeof one?.image === "string") used.add(one.image);
        for (const chain of step.outcomes ?? []) if (Array.isArray(chain)) chain.forEach(rename);
      }
    write(name, kept);
  }
// an image that is installed in the clear under its own name is another one, of the same body
const wanted = Object.keys(images).filter((name) => used.has(name) || used.has(name.replace(/:plain$/, "")));
write("images", {
  keys,
  images: Object.fromEntries(
    wanted.sort().map((name) => [name, { sha256: images[name].sha256, parts: images[name].parts }]),
  ),
});
