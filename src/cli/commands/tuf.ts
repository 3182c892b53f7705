import type { Command } from "commander";
import type { AddVerb } from "../add-verb.js";
import { defineClientVerbs } from "../tuf/client-verbs.js";
import { defineRepositoryVerbs } from "../tuf/repository-verbs.js";
import { commonOptions } from "../verb-context.js";

export function define(command: Command): void {
  const verb: AddVerb = (signature, description) =>
    commonOptions(command.command(signature).description(description));
  defineClientVerbs(verb);
  defineRepositoryVerbs(verb);
}
