// tuf-js as a judge: judge.mjs PACKAGE URL ROOT FOLDER TARGET writes the target to stdout.
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [home, url, root, folder, target] = process.argv.slice(2);
const { Updater } = createRequire(join(home, "package.json"))("tuf-js");
const [metadataDir, targetDir] = ["metadata", "targets"].map((name) => join(folder, name));
for (const path of [metadataDir, targetDir]) mkdirSync(path, { recursive: true });
copyFileSync(root, join(metadataDir, "root.json"));
const updater = new Updater({
  metadataDir,
  metadataBaseUrl: `${url}/metadata`,
  targetDir,
  targetBaseUrl: `${url}/targets`,
});
await updater.refresh();
const info = await updater.getTargetInfo(target);
if (!info) throw new Error(`no target ${target}`);
process.stdout.write(readFileSync(await updater.downloadTarget(info)));
