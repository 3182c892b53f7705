// Joins many small files into few, so that a command starts quickly: the library as ES modules, the program as CommonJS,
// which Node loads with less ado. Names stay readable, so that stack traces do.
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { build } from "rolldown";
import { at, common, exported, programOf, programOutput, sourceOf } from "./bundle-options.mjs";

const output = { keepNames: true, entryFileNames: "[name].js", chunkFileNames: "chunks/[name].js" };

// What an earlier build left under a name that is no longer made would be packed.
for (const folder of ["dist/chunks", "dist/cli"]) rmSync(at(folder), { recursive: true, force: true });

await build({
  ...common,
  input: Object.fromEntries(exported.map(({ built }) => [built, sourceOf(built)])),
  output: { ...output, dir: at("dist"), format: "esm" },
});

/** Six files, and each run needs them. */
const joined = new Set(["commander"]);
await build({ ...programOf(joined), output: { ...programOutput, dir: at("dist/cli") } });
// The program itself, and before it what loads its parts.
const parts = readdirSync(at("dist/cli"), { recursive: true, withFileTypes: true }).filter((entry) =>
  entry.isFile(),
);
const hash = createHash("sha256");
for (const text of parts
  .map(({ parentPath, name }) => readFileSync(join(parentPath, name)))
  .sort(Buffer.compare))
  hash.update(text);
renameSync(at("dist/cli/main.js"), at("dist/cli/program.js"));
const start = ["parts", "installed"]
  .map((name) => readFileSync(at(`.config/${name}.cjs`), "utf8"))
  .join("\n");
writeFileSync(
  at("dist/cli/main.js"),
  `#!/usr/bin/env node\n${start.replace('"BUILD"', JSON.stringify(hash.digest("hex").slice(0, 16)))}`,
);
// Below a package of ES modules.
writeFileSync(at("dist/cli/package.json"), '{ "type": "commonjs" }\n');

// The page of the station: one file of ours, and the packages as they are installed, which the station serves beside it.
const served = { preact: "./lib/preact.js", htm: "./lib/htm.js" };
mkdirSync(at("dist/station-page"), { recursive: true });
await build({
  input: at("src/station-page/main.ts"),
  platform: "browser",
  plugins: [
    {
      name: "served-packages",
      resolveId: (name) => (Object.hasOwn(served, name) ? { id: served[name], external: true } : null),
    },
  ],
  output: { file: at("dist/station-page/page.js"), format: "esm" },
});
for (const name of ["index.html", "style.css", "icon.svg"])
  copyFileSync(at(`src/station-page/${name}`), at(`dist/station-page/${name}`));
