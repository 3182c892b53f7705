import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { dirname, join } from "node:path";
import { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { program } from "./cli-build.js";
import type { Ended } from "./cli-run.js";

/**
 * The built program in this process: a start of Node takes ten times the processor time of what most verbs do. Each run has
 * modules of its own, fresh as in a process of its own, and instead of `process` a stand-in with its own environment, streams,
 * exit status and listeners. What is about processes (signals, kills, terminals, working folders, long runs) is started as one.
 */

/** Verbs that last, ask a person, or are about the process that they run in. */
const STARTED = new Set([
  "agent",
  "board",
  "bridge",
  "console",
  "demo",
  "keep-places",
  "mcumgr",
  "serve",
  "shell",
  "station",
]);
/** Others are read by Node, by programs or by native libraries, which see the environment of the process. */
const OWN_VARIABLES = /^(?:BOOTPROOF_\w+|XDG_\w+|HOME|PATH|NO_COLOR)$/;

/** Options whose programs write to the process's own stderr, or whose words Node itself looks at. */
const STARTED_WITH = new Set(["--color", "--signer-command", "--place", "--places", "--tag"]);
/** A link that another process serves is let go by the end of a process, and at no other moment that can be seen. */
const LINK = /\b(?:tcp|udp|serial|rfc2217|usb):/;

/** Would a process of its own do nothing else for this run? */
export function canRunHere(words: readonly string[], env: Readonly<Record<string, string>>): boolean {
  const verb = words.find((word) => !word.startsWith("-"));
  if (verb === undefined || STARTED.has(verb)) return false;
  if (words.some((word, at) => STARTED_WITH.has(word) || LINK.test(word) || namesBoard(words, at)))
    return false;
  return Object.entries(env).every(([name, value]) => OWN_VARIABLES.test(name) && !LINK.test(value));
}

/** `-d NAME`: a board of a config file, wherever that is. */
const namesBoard = (words: readonly string[], at: number): boolean =>
  /^(?:-d|--device)$/.test(words[at - 1] ?? "") && !words[at]!.startsWith("wasm:");

/** Runs it to its end with this environment and nothing on stdin. */
export async function runHere(words: readonly string[], env: Record<string, string>): Promise<Ended> {
  const said = { stdout: "", stderr: "" };
  const into = (name: keyof typeof said) =>
    new Writable({
      decodeStrings: false,
      write(chunk: string | Buffer, _encoding, done) {
        said[name] += chunk.toString();
        done();
      },
    });
  const events = new EventEmitter();
  events.setMaxListeners(0);
  let end: (status: number) => void = () => undefined;
  const exited = new Promise<number>((resolve) => {
    end = resolve;
  });
  const own: Record<string | symbol, unknown> = {
    env: { ...env },
    argv: [process.execPath, program, ...words],
    execArgv: [],
    exitCode: undefined,
    stdin: Readable.from([]),
    stdout: into("stdout"),
    stderr: into("stderr"),
    exit(status = own.exitCode) {
      end(Number(status ?? 0));
      throw new Error("the program has ended");
    },
  };
  const standIn = new Proxy(process, {
    get(real, name) {
      if (Object.hasOwn(own, name)) return own[name];
      if (!(name in EventEmitter.prototype)) return Reflect.get(real, name, real) as unknown;
      const value = Reflect.get(events, name, events) as unknown;
      return typeof value === "function" ? (value.bind(events) as unknown) : value;
    },
    set(_real, name, value) {
      own[name] = value;
      return true;
    },
  });
  const { main } = (loadWith(standIn)(join(dirname(program), "chunks/run.js")) as Run).run_exports;
  const status = await Promise.race([main(words), exited]);
  events.emit("exit", status);
  return { status, ...said };
}

interface Run {
  readonly run_exports: { main(argv: readonly string[]): Promise<number> };
}

type Wrapper = (
  this: unknown,
  exports: object,
  require: (name: string) => unknown,
  module: { exports: object },
  filename: string,
  folder: string,
  process: NodeJS.Process,
  nativeImport: (name: string) => Promise<unknown>,
) => void;

/** Files as V8 has compiled them: each run executes them again. */
const compiled = new Map<string, Wrapper>();
const requireReal = createRequire(program);
const nativeImport = requireReal(fileURLToPath(new URL("native-import.cjs", import.meta.url))) as (
  name: string,
) => Promise<unknown>;

function wrapperOf(path: string): Wrapper {
  let wrapper = compiled.get(path);
  if (!wrapper) {
    const names = ["exports", "require", "module", "__filename", "__dirname", "process", "nativeImport"];
    // Code that is compiled by hand has no `import()`: the build gives it that name instead.
    const source = readFileSync(path, "utf8");
    wrapper = compileFunction(source, names, { filename: path }) as Wrapper;
    compiled.set(path, wrapper);
  }
  return wrapper;
}

/** Loads files of the program as CommonJS does, once each, with this in the place of `process`. */
function loadWith(standIn: NodeJS.Process): (path: string) => unknown {
  const modules = new Map<string, { exports: object }>();
  const builtins: Record<string, unknown> = {
    "node:process": standIn,
    // These look at the environment of the real process.
    "node:os": {
      ...os,
      homedir: () => standIn.env.HOME ?? os.homedir(),
      tmpdir: () => standIn.env.TMPDIR ?? os.tmpdir(),
    },
  };
  const load = (path: string): unknown => {
    let module = modules.get(path);
    if (!module) {
      module = { exports: {} };
      modules.set(path, module);
      const folder = dirname(path);
      const require = (name: string) =>
        name.startsWith(".") ? load(join(folder, name)) : (builtins[name] ?? requireReal(name));
      wrapperOf(path).call(
        module.exports,
        module.exports,
        require,
        module,
        path,
        folder,
        standIn,
        nativeImport,
      );
    }
    return module.exports;
  };
  return load;
}
