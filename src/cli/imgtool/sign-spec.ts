import { IMAGE_OPTIONS } from "../signing/option-table.js";
import type { CommandSpec } from "./arguments.js";

/** imgtool's `sign` and `create`. */
export const SIGN: CommandSpec = {
  name: "sign",
  summary:
    "Make a signed or unsigned image. INFILE and OUTFILE are Intel HEX when named .hex, INFILE may be ELF.",
  operands: ["INFILE", "OUTFILE"],
  options: [
    { name: "key", short: "k", value: "FILE", help: "private key" },
    ...IMAGE_OPTIONS,
    { name: "passphrase-file", value: "FILE", help: "passphrase of an encrypted key", ours: true },
  ],
};
