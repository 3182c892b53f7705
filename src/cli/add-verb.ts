import type { Command } from "commander";

/** Adds a subcommand with the options that all of its command have. */
export type AddVerb = (signature: string, description: string) => Command;
