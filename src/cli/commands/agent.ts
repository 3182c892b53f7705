import type { Command } from "commander";
import { defineAwsAgent } from "../agent/aws.js";
import { defineMenderAgent } from "../agent/mender.js";

export function define(command: Command): void {
  defineMenderAgent(command);
  defineAwsAgent(command);
}
