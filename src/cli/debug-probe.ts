import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Device } from "../devices/device.js";
import { BootproofError } from "../errors.js";
import { formatIntelHex } from "../formats/intel-hex.js";
import { runProgram } from "../power/command.js";
import { PowerError } from "../power/power.js";
import type { BoardProfile } from "../profiles/profile.js";
import { commandLine, probeAt, usableTools, whyNoTool } from "../recovery/debug-tools.js";
import type { DirectWriter } from "../recovery/target.js";

/** A debug tool did not do what it was told. */
export class ProbeToolError extends BootproofError {
  declare readonly code: "tool-failed";
}

const LONGEST_MS = 180_000;

/** Where a debug tool would have to write, and what it would find plugged in. */
export interface Bench {
  readonly profile: BoardProfile | undefined;
  readonly device: Device | undefined;
  readonly among: readonly Device[];
}

/**
 * The first debug tool that is installed here and knows the board's chip, as a recovery method; else why there is none. Nothing but
 * its version is asked.
 */
export async function debugProbe(
  { profile, device, among }: Bench,
  signal: AbortSignal,
): Promise<DirectWriter | string> {
  const why = whyNoTool(profile);
  if (why !== undefined) return why;
  const probe = probeAt(device, among);
  if (probe === "several")
    return "Several debug probes are plugged in, and it is not known which one is connected to this board: unplug the others, or give -d the probe's serial number.";
  const known = usableTools(profile);
  for (const { tool, job } of known) {
    if (!(await isInstalled(tool.program, tool.version, signal))) continue;
    const lines = (file: string) =>
      tool.commands({ ...job, file, probe }).map((args) => ({ args, line: commandLine(tool.program, args) }));
    return {
      summary: `Use the debug probe: ${lines("IMAGE")
        .map(({ line }) => line)
        .join("; ")}`,
      destroys: "The contents of the primary slot. Other slots and the bootloader stay.",
      write: async (image, { signal: how }) => {
        const slot = fill(image, job.size);
        const home = mkdtempSync(join(tmpdir(), "bootproof-"));
        const isHex = tool.reads === "intel-hex";
        const file = join(home, isHex ? "image.hex" : "image.bin");
        try {
          writeFileSync(file, isHex ? formatIntelHex([{ address: job.address, bytes: slot }]) : slot);
          for (const { args, line } of lines(file)) await runTool(tool.program, args, line, how);
        } finally {
          rmSync(home, { recursive: true, force: true });
        }
        return `${tool.program} wrote ${image.length} bytes and reset the chip.`;
      },
    };
  }
  return `None of the debug tools that know its chip is installed: ${known.map(({ tool }) => tool.program).join(", ")}.`;
}

/**
 * The image and erased flash to the end of its slot: a tool erases what it writes, and a trailer left there would tell
 * MCUboot of the image that was there before.
 */
function fill(image: Uint8Array, size: number): Uint8Array {
  if (image.length > size) {
    throw new ProbeToolError(
      "tool-failed",
      `${image.length} bytes do not fit in the primary slot of ${size} bytes.`,
      { hint: "Nothing was written. Is it the right profile?" },
    );
  }
  const slot = new Uint8Array(size).fill(0xff);
  slot.set(image);
  return slot;
}

async function isInstalled(program: string, args: readonly string[], signal: AbortSignal): Promise<boolean> {
  try {
    const { status } = await runProgram(program, args, { signal, timeoutMs: 10_000 });
    return status === 0;
  } catch (error) {
    if (error instanceof PowerError) return false;
    throw error;
  }
}

async function runTool(
  program: string,
  args: readonly string[],
  line: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { status, said } = await runProgram(program, args, { signal, timeoutMs: LONGEST_MS });
  if (status === 0) return;
  throw new ProbeToolError("tool-failed", `${line} ended with ${status}. Its output: ${said.trim()}`, {
    hint: "Is a debug probe connected, and can it reach the chip?",
  });
}
