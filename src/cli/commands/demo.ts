import type { Command } from "commander";
import { type CommonOptions, commonOptions } from "../context.js";
export function define(command: Command): void {
  commonOptions(command).action((_o: CommonOptions) => {});
}
