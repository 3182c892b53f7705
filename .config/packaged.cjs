// The packaged program begins here: Node's binary holds parts.cjs and this alone. The parts of bootproof lie beside the
// binary, in `program`, with what V8 compiled of them when the package was made.
/* global loaderOf, readFileSync, withoutWarningOfImports, dirname, join */
withoutWarningOfImports();
const program = join(dirname(process.execPath), "program");
loaderOf(program, {
  cacheOf(file) {
    try {
      return readFileSync(`${file}.cache`);
    } catch {
      // Made on another kind of machine than it is for: without.
      return undefined;
    }
  },
})(join(program, "main.js"));
