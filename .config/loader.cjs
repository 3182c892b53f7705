// The packaged program begins here: Node's binary holds this file alone. The parts of bootproof lie beside the binary, in
// `program`, and are loaded as they are needed, each with what V8 compiled of it when the package was made. V8 itself
// refuses what it did not make of the same text; then the part is compiled anew.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");
const { Script, constants } = require("node:vm");

/** As Node itself makes a function of a file. */
const wrapped = (text) =>
  `(function (exports, require, module, __filename, __dirname) {${text.replace(/^#!.*/, "")}\n})`;

/** A loader of the parts in a folder. `onScript` is told of each: the maker of the package listens. */
function loaderOf(folder, onScript = () => {}) {
  const loaded = new Map();
  const other = createRequire(join(folder, "..", "package.json"));
  return function load(file) {
    const known = loaded.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    loaded.set(file, module);
    let cachedData;
    try {
      cachedData = readFileSync(`${file}.cache`);
    } catch {
      // Made on another kind of machine than it is for: without.
    }
    const script = new Script(wrapped(readFileSync(file, "utf8")), {
      filename: file,
      cachedData,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    onScript(file, script);
    const here = dirname(file);
    const require = (name) => (name.startsWith(".") ? load(join(here, name)) : other(name));
    script.runInThisContext().call(module.exports, module.exports, require, module, file, here);
    return module.exports;
  };
}

/** Node calls it an experiment that parts import packages. It is tested with the one version of Node that is in here. */
function withoutWarningOfImports() {
  const { emitWarning } = process;
  process.emitWarning = (warning, ...more) => {
    if (!String(warning).includes("USE_MAIN_CONTEXT_DEFAULT_LOADER"))
      emitWarning.call(process, warning, ...more);
  };
}

if (require("node:sea").isSea()) {
  withoutWarningOfImports();
  const folder = join(dirname(process.execPath), "program");
  loaderOf(folder)(join(folder, "main.js"));
} else module.exports = { loaderOf };
