// Makes test/vectors/mcuboot from a folder of MCUboot recordings: keeps what the replay compares, drops logs and dumps.
//   node test/support/mcuboot-import.mjs FOLDER
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("Usage: node test/support/mcuboot-import.mjs FOLDER");
const target = new URL("../vectors/mcuboot/", import.meta.url);

/** The modes our bootloader implements. */
const IMPLEMENTED = /^(move|overwrite)-.*\.json$/;
/** Of a step or an outcome; the rest is for diagnosis or follows from what stays. */
const DROPPED = new Set([
  "log",
  "counter_updates",
  "rc_text",
  "flash_after_cut",
  "note",
  "writes_over_unerased",
]);

const write = (name, value) =>
  writeFileSync(new URL(`${name}.json.gz`, target), gzipSync(JSON.stringify(value), { level: 9 }));

/** An object with a property of this name would pass for a promise. */
function rename(outcome) {
  if (outcome.then === undefined) return;
  outcome.afterwards = outcome.then;
  delete outcome.then;
}

const used = new Set();
for (const name of readdirSync(folder).filter((name) => IMPLEMENTED.test(name))) {
  const { config, contents, scenarios } = JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
  const kept = JSON.parse(
    JSON.stringify({ config, contents: contents.map(({ sha256 }) => sha256), scenarios }),
    (key, value) => (DROPPED.has(key) ? undefined : value),
  );
  for (const { steps } of kept.scenarios)
    for (const { image } of steps) if (image !== undefined) used.add(image);
  for (const { steps } of kept.scenarios)
    for (const { outcomes } of steps)
      for (const chain of outcomes ?? []) if (Array.isArray(chain)) chain.forEach(rename);
  write(name.replace(/\.json$/, ""), kept);
}
used.add("A.ed25519").add("B.ed25519"); // what a trailer matrix starts from
const { keys, images } = JSON.parse(readFileSync(`${folder}/images.json`, "utf8"));
write("images", {
  keys: Object.fromEntries(Object.entries(keys).map(([name, { public_der }]) => [name, public_der])),
  images: Object.fromEntries(
    [...used].sort().map((name) => [name, { sha256: images[name].sha256, parts: images[name].parts }]),
  ),
});
