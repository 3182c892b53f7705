import type { Command } from "commander";
import type { AddVerb } from "../add-verb.js";
import { diff } from "../artifact/diff.js";
import { read } from "../artifact/read.js";
import { defineRehearse } from "../artifact/rehearse.js";
import { defineSign } from "../artifact/sign.js";
import { defineVerify } from "../artifact/verify.js";
import { defineWrite } from "../artifact/write.js";
import { type CommonOptions, commonOptions, inContext } from "../verb-context.js";

export function define(command: Command): void {
  const verb: AddVerb = (signature, description) =>
    commonOptions(command.command(signature).description(description));
  verb("read <artifact>", "show what an artifact contains, without checking its signature").action(
    (file: string, options: CommonOptions) => inContext(options, ({ out }) => read(file, out)),
  );
  defineVerify(verb);
  defineWrite(verb);
  defineSign(verb);
  defineRehearse(verb);
  verb("diff <before> <after>", "show what differs between two artifacts").action(
    (before: string, after: string, options: CommonOptions) =>
      inContext(options, ({ out }) => diff(before, after, out)),
  );
}
