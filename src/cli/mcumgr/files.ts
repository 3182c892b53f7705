import { closeSync, writeSync } from "node:fs";
import type { McumgrCommand, Run } from "./command.js";
import { openOutput } from "./core.js";
import { McumgrFailure, usageFailure } from "./failure.js";
import { readInput } from "./image.js";
import type { Request, Session } from "./session.js";

const FILE = { group: 8, id: 0 } as const;

async function download({ args: [name, file], io, session }: Run): Promise<void> {
  if (name === undefined || file === undefined) throw usageFailure();
  // Before the link is opened: a script finds the file empty when the download fails.
  const target = openOutput(file);
  try {
    const link = await session();
    for (let off = 0; ; ) {
      const answer = await link.ask({ op: "read", ...FILE, fields: { name, off } }, (reply) => ({
        rc: reply.rc,
        off: reply.int("off"),
        data: reply.bytes("data"),
      }));
      if (answer.rc !== 0) return io.out(`Error: ${answer.rc}\n`);
      io.out(`${answer.off}\n`);
      if (answer.data.length === 0) break;
      if (Number(answer.off) !== off)
        throw new McumgrFailure(`the device sent byte ${answer.off} of ${name} where ${off} was requested`);
      writeSync(target, answer.data);
      off += answer.data.length;
    }
    io.out("Done\n");
  } finally {
    closeSync(target);
  }
}

async function upload({ args: [file, name], io, session }: Run): Promise<void> {
  if (file === undefined || name === undefined) throw usageFailure();
  const data = readInput(file);
  const link = await session();
  for (let off = 0; off < data.length; ) {
    const request = nextChunk(link, name, data, off);
    const answer = await link.ask(request, (reply) => ({ rc: reply.rc, off: reply.int("off") }));
    io.out(`${answer.off}\n`);
    if (answer.rc !== 0) return io.out(`Error: ${answer.rc}\n`);
    if (Number(answer.off) > data.length)
      throw new McumgrFailure(`the device asks for byte ${answer.off} of a file of ${data.length} bytes`);
    off = Number(answer.off);
  }
  io.out("Done\n");
}

/** The request for the bytes from `off`, as many as fit beside the name. */
function nextChunk(link: Session, name: string, data: Uint8Array, off: number): Request {
  const request = (size: number): Request => ({
    op: "write",
    ...FILE,
    fields: { name, len: data.length, off, data: data.subarray(off, off + size) },
  });
  const room = link.mtu - link.sizeOf(request(0));
  if (room <= 0)
    throw new McumgrFailure("Cannot create file upload request; MTU too low to fit any file data");
  const size = Math.min(room, data.length - off);
  // The length of the data takes bytes of its own, which the empty request did not show.
  const excess = link.measure(request(size)) - link.mtu;
  if (excess <= 0) return request(size);
  link.sizeOf(request(size));
  return request(size - excess);
}

export const fs: McumgrCommand = {
  name: "fs",
  about: "Access files on a device",
  commands: [
    {
      name: "download",
      about: "Download file from a device",
      operands: "<src-filename> <dst-filename>",
      run: download,
    },
    {
      name: "upload",
      about: "Upload file to a device",
      operands: "<src-filename> <dst-filename>",
      run: upload,
    },
  ],
};
