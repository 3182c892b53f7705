import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { renameOver } from "../../rename-over.js";
import type { McumgrCommand, Run } from "./command.js";
import { McumgrFailure, usageFailure } from "./failure.js";
import { goSystemError } from "./go-text.js";
import { done, simple } from "./simple.js";

const GROUP = 1;
const NO_FILE = 5;

async function download({ args, flags, io, session }: Run): Promise<void> {
  const [file] = args;
  if (file === undefined) throw usageFailure();
  if (flags.get("elfify") === true) throw noElf();
  const draft = `${file}.tmp`;
  const target = openOutput(draft);
  try {
    const link = await session();
    let offset = Number(flags.get("offset") ?? 0);
    const most = Number(flags.get("bytes") ?? 0);
    for (let written = 0; ; ) {
      const fields = { off: offset };
      const answer = await link.ask({ op: "read", group: GROUP, id: 4, fields }, (reply) => ({
        rc: reply.rc,
        off: reply.int("off"),
        data: reply.bytes("data"),
      }));
      if (answer.rc !== 0) return io.out(`Error: ${answer.rc}\n`);
      io.out(`${answer.off}\n`);
      if (answer.data.length === 0) break;
      const data = most > 0 ? answer.data.subarray(0, most - written) : answer.data;
      writeSync(target, data);
      written += data.length;
      offset += answer.data.length;
      if (most > 0 && written >= most) break;
    }
  } finally {
    closeSync(target);
  }
  renameOver(draft, file);
  io.out(`Done writing core file to ${file}\n`);
}

/** Makes the file anew. */
export function openOutput(file: string): number {
  try {
    return openSync(file, "w");
  } catch (cause) {
    throw usageFailure(`Cannot open file ${file} - ${goSystemError("open", file, cause)}`);
  }
}

const noElf = () =>
  new McumgrFailure("bootproof cannot convert a core file to ELF", {
    hint: "keep the core file as the device sent it",
  });

async function convert({ args }: Run): Promise<void> {
  const [file, target] = args;
  if (file === undefined || target === undefined) throw usageFailure();
  if (!existsSync(file))
    throw new McumgrFailure(`Cannot open file ${file} - open ${file}: no such file or directory`);
  throw noElf();
}

/** The commands for Mynewt's core dumps. */
export const coreCommands: readonly McumgrCommand[] = [
  {
    name: "corelist",
    about: "List core(s) on a device",
    run: simple({ op: "read", group: GROUP, id: 3, fields: {} }, ({ rc }) => {
      if (rc === 0) return "Corefile present\n";
      return rc === NO_FILE ? "No corefiles\n" : `Error: ${rc}\n`;
    }),
  },
  {
    name: "coredownload",
    about: "Download core from a device",
    operands: "<core-file>",
    flags: [
      { name: "elfify", letter: "e", kind: "bool", summary: "convert it to ELF (not supported here)" },
      { name: "offset", kind: "uint32", summary: "where in the core to begin" },
      { name: "bytes", letter: "n", kind: "uint32", summary: "how many bytes of it" },
    ],
    run: download,
  },
  { name: "coreconvert", about: "Convert core to ELF", operands: "<core-file> <elf-file>", run: convert },
  {
    name: "coreerase",
    about: "Erase core on a device",
    run: simple({ op: "write", group: GROUP, id: 4, fields: {} }, done),
  },
];
