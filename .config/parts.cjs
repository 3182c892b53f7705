// How the parts of the program are loaded: as they are needed, each with what V8 compiled of it before, so that it is not
// compiled again. V8 itself refuses what it did not make of a text of this length, in another version of it or with other
// flags; then the part is compiled anew.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");
const { Script, constants } = require("node:vm");

/** As Node itself makes a function of a file. */
const wrapped = (text) =>
  `(function (exports, require, module, __filename, __dirname, nativeImport) {${text.replace(/^#!.*/, "")}\n})`;

/**
 * A loader of the parts in a folder. `cacheOf` gives what V8 compiled of a part, or undefined; `onScript` is told of each
 * part, with its `Script`.
 */
function loaderOf(folder, { cacheOf, onScript }) {
  const loaded = new Map();
  let other;
  let native;
  /** Compiled each time: Node 20 has no `import()` in what was compiled earlier. */
  const nativeImport = (name) => {
    native ??= new Script("(name) => import(name)", {
      filename: join(folder, "import.js"),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    }).runInThisContext();
    return native(name);
  };
  return function load(file) {
    const known = loaded.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    loaded.set(file, module);
    const script = new Script(wrapped(readFileSync(file, "utf8")), {
      filename: file,
      cachedData: cacheOf(file),
    });
    onScript?.(file, script);
    const here = dirname(file);
    const require = (name) => {
      if (name.startsWith(".")) return load(join(here, name));
      other ??= createRequire(join(folder, "..", "package.json"));
      return other(name);
    };
    const run = script.runInThisContext();
    run.call(module.exports, module.exports, require, module, file, here, nativeImport);
    return module.exports;
  };
}

/** Node calls it an experiment that parts import packages. It is tested with the versions of Node that bootproof runs on. */
function withoutWarningOfImports() {
  const { emitWarning } = process;
  process.emitWarning = (warning, ...more) => {
    if (!String(warning).includes("USE_MAIN_CONTEXT_DEFAULT_LOADER"))
      emitWarning.call(process, warning, ...more);
  };
}

module.exports = { loaderOf, withoutWarningOfImports };
