import { isAbsolute, resolve } from "node:path";
import { parseAddress } from "bootproof";
import { BOARD_FIELDS, BoardDescriptionError, PowerError, readBoardDescription } from "bootproof/boards";
import type { Reach } from "./board-entry.js";
import type { Fields } from "./yaml-facts.js";

export const KINDS = ["wasm", "qemu", "machine", "attached", "labgrid"] as const;

export function readReach(kind: (typeof KINDS)[number], fields: Fields, folder: string): Reach {
  switch (kind) {
    case "wasm":
    case "qemu": {
      const variant = fields.text("variant") ?? "good";
      const flash = at(folder, fields.text("flash"));
      return { kind, variant, ...(flash === undefined ? {} : { flash }) };
    }
    case "machine": {
      const launch = fields.required("launch");
      if (!launch.includes("{port}"))
        throw fields.faultOf("launch", "it must contain {port}, the TCP port of the UART.");
      const keepsFlash = fields.flag("keeps-flash");
      return {
        kind,
        launch,
        folder: at(folder, fields.text("folder")) ?? folder,
        ...(keepsFlash === undefined ? {} : { keepsFlash }),
      };
    }
    case "attached":
      return readAttached(fields);
    case "labgrid": {
      const place = fields.required("place");
      const coordinator = fields.text("coordinator");
      mustBePlain(fields, "place", place);
      if (coordinator !== undefined) mustBePlain(fields, "coordinator", coordinator);
      return { kind, place, ...(coordinator === undefined ? {} : { coordinator }) };
    }
  }
}

/** As the config file describes boards. */
function readAttached(fields: Fields): Extract<Reach, { kind: "attached" }> {
  const { device: address, power: config, settleMs = SETTLE_MS, log, reset } = describe(fields);
  mustBePipe(fields, fields.has("device") ? "device" : "address", address);
  if (log !== undefined) mustBePipe(fields, "log", log);
  return {
    kind: "attached",
    address,
    ...(log === undefined ? {} : { log }),
    ...(reset === undefined ? {} : { reset }),
    ...(config === undefined ? {} : { power: { config, settleMs } }),
  };
}

/** How long a board lives on without power when the file does not say. */
export const SETTLE_MS = 500;

function describe(fields: Fields) {
  if (!fields.has("device")) fields.required("address");
  try {
    return readBoardDescription(fields.plain(BOARD_FIELDS), fields.path);
  } catch (cause) {
    if (cause instanceof PowerError) throw fields.faultAt("power", cause.message, cause.hint);
    if (!(cause instanceof BoardDescriptionError)) throw cause;
    throw fields.faultAt(cause.field, cause.message, cause.hint);
  }
}

/** Both become words of command lines. */
function mustBePlain(fields: Fields, field: string, text: string): void {
  if (!/^[\w.+:[\]][\w.+:[\]-]{0,199}$/.test(text))
    throw fields.faultOf(field, `"${text}" has characters that no ${field} of labgrid has.`);
}

function mustBePipe(fields: Fields, field: string, text: string): void {
  try {
    const { kind } = parseAddress(text);
    if (kind !== "wasm" && kind !== "qemu") return;
  } catch (cause) {
    throw fields.faultOf(field, cause instanceof Error ? cause.message : String(cause));
  }
  throw fields.faultOf(
    field,
    `"${text}" is an emulated board.`,
    "Give it the kind wasm or qemu, and a variant.",
  );
}

export function at(folder: string, path: string | undefined): string | undefined {
  return path === undefined || isAbsolute(path) ? path : resolve(folder, path);
}
