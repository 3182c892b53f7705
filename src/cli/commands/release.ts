import type { Command } from "commander";
import { defineAwsRelease } from "../release/aws.js";

export function define(command: Command): void {
  defineAwsRelease(command);
}
