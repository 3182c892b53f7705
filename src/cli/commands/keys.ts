import type { Command } from "commander";
import { commonOptions } from "../context.js";
import { defineApproval } from "../keys/approve.js";
import { defineKeyFiles } from "../keys/files.js";
import { defineRotation } from "../keys/rotate.js";

export function define(command: Command): void {
  const verb = (signature: string, description: string) =>
    commonOptions(command.command(signature).description(description));
  defineKeyFiles(verb);
  defineRotation(verb);
  defineApproval(verb);
}

/** Adds a subcommand with the options that all have. */
export type AddVerb = (signature: string, description: string) => Command;
