// Loaded with `node --import`: writes the address of each module that is loaded to the file MODULES_TO.
import { appendFileSync } from "node:fs";
import Module, { register } from "node:module";
import { pathToFileURL } from "node:url";

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
