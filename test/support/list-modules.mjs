// Loaded with `node --import`: writes the address of each module that is loaded to the file MODULES_TO.
import { appendFileSync } from "node:fs";
import Module, { register } from "node:module";
import { pathToFileURL } from "node:url";
import vm from "node:vm";

const hook = `import { appendFileSync } from "node:fs";
export async function load(url, context, next) {
  appendFileSync(process.env.MODULES_TO, url + "\\n");
  return next(url, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

// Modules that are required pass the hook by.
const compile = Module._extensions[".js"];
Module._extensions[".js"] = (module, filename) => {
  appendFileSync(process.env.MODULES_TO, `${pathToFileURL(filename)}\n`);
  return compile(module, filename);
};

// The program's own loader (.config/parts.cjs) makes a script of each part.
const { Script } = vm;
vm.Script = class extends Script {
  constructor(code, options) {
    super(code, options);
    const filename = typeof options === "string" ? options : options?.filename;
    if (filename?.startsWith("/")) appendFileSync(process.env.MODULES_TO, `${pathToFileURL(filename)}\n`);
  }
};
