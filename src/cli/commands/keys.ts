import type { Command } from "commander";
import { defineApproval } from "../keys/approve.js";
import { defineKeyFiles } from "../keys/files.js";
import { defineLint } from "../keys/lint.js";
import { defineRotation } from "../keys/rotate.js";
import { commonOptions } from "../verb-context.js";

export function define(command: Command): void {
  const verb = (signature: string, description: string) =>
    commonOptions(command.command(signature).description(description));
  defineKeyFiles(verb);
  defineRotation(verb);
  defineApproval(verb);
  defineLint(verb);
}
