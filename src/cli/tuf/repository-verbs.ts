import type { Command } from "commander";
import { PASSPHRASE_VARIABLE } from "../../child-environment.js";
import type { AddVerb } from "../add-verb.js";
import { several } from "../several.js";
import { inContext, wholeNumber } from "../verb-context.js";
import type { AddOptions } from "./add-target.js";
import type { PublishOptions } from "./publish.js";
import type {
  DelegateOptions,
  InitOptions,
  KeyOptions,
  RotateOptions,
  SignOptions,
} from "./repository-actions.js";

/** Loaded when a verb is used, not when its help is shown. */
const actions = () => import("./repository-actions.js");

const count = (name: string) => wholeNumber(name, { min: 1, max: 1000 });

/** Verbs of whoever runs a repository. */
export function defineRepositoryVerbs(verb: AddVerb): void {
  verb("init <folder>", "make a repository; its first root is staged until publish signs it")
    .option("--key <file>", "a key of every role, public or private (repeatable)", several)
    .option("--root-key <file>", "a key of root (repeatable)", several)
    .option("--targets-key <file>", "a key of targets (repeatable)", several)
    .option("--snapshot-key <file>", "a key of snapshot (repeatable)", several)
    .option("--timestamp-key <file>", "a key of timestamp (repeatable)", several)
    .option("--offline-key <file>", "a key of both roles for offline updates (repeatable)", several)
    .option(
      "--threshold <role=number>",
      "how many of a role's keys must sign (default 1; repeatable)",
      several,
    )
    .option("--expires <role=days>", "how long a role's signatures stay valid (repeatable)", several)
    .action((folder: string, options: InitOptions) =>
      inContext(options, async (context) => (await actions()).init(folder, options, context)),
    );

  verb("key <folder> <role>", "show the keys of a role, or stage a change of them")
    .option("--add <file>", "add this key, public or private (repeatable)", several)
    .option("--remove <id>", "remove the key whose id begins so (repeatable)", several)
    .option("--threshold <number>", "how many of the keys must sign", count("--threshold"))
    .action((folder: string, role: string, options: KeyOptions) =>
      inContext(options, async (context) => (await actions()).changeRoleKeys(folder, role, options, context)),
    );

  verb("add <folder> [file...]", "stage images or other files as targets, with what an image says of itself")
    .option("--path <path>", "the target's path (default: the file's name)")
    .option("--role <role>", "the role that lists it", "targets")
    .option("--hardware <id>", "a hardware id that it is for (repeatable)", several)
    .option("--release-counter <number>", "its release counter", wholeNumber("--release-counter"))
    .option("--ecu <serial=hardware-id>", "an ECU that a Director directs to it (repeatable)", several)
    .option("--vehicle <id>", "the vehicle that all targets of this Director are for")
    .option("--custom <json>", "more custom data, a JSON object")
    .option("--remove <path>", "no longer list this target (repeatable)", several)
    .action((folder: string, files: string[], options: AddOptions) =>
      inContext(options, async (context) =>
        (await import("./add-target.js")).add(folder, files, options, context),
      ),
    );

  verb("delegate <folder> <role>", "delegate paths of targets to another role, or all of them to hash bins")
    .option("--key <file>", "a key of the role, public or private (repeatable)", several)
    .option("--threshold <number>", "how many of the keys must sign", count("--threshold"), 1)
    .option("--path <pattern>", "paths that it may list: * and ? within a part (repeatable)", several)
    .option("--hash-prefix <hex>", "or: how the hashes of its paths begin (repeatable)", several)
    .option(
      "--bins <bits>",
      "or: 2 to this power hash bins named ROLE-0, ROLE-1, ...",
      wholeNumber("--bins", { min: 1, max: 14 }),
    )
    .option("--terminating", "nothing behind this role is asked for its paths")
    .action((folder: string, role: string, options: DelegateOptions) =>
      inContext(options, async (context) => (await actions()).delegate(folder, role, options, context)),
    );

  signingOptions(
    verb("publish <folder>", "sign what is staged; with all signatures it becomes what clients see")
      .option("--request <folder>", "write a request there for each role that still needs signatures")
      .option("--attach <file>", "add the signatures in this response (repeatable)", several),
  ).action((folder: string, options: PublishOptions) =>
    inContext(options, async (context) => (await import("./publish.js")).publish(folder, options, context)),
  );

  signingOptions(verb("sign <request> <response>", "where the key is: look at a request, sign it or not"))
    .option("--key-id <id>", "the repository's id of the key, when it is not the key's own")
    .option("--signer <name>", "who signs, for the record (default: user and machine)")
    .option("-y, --yes", "do not ask: it was checked elsewhere")
    .option("--force", "replace the response file if it exists")
    .action((request: string, response: string, options: SignOptions) =>
      inContext(options, async (context) => (await actions()).sign(request, response, options, context)),
    );

  verb("rotate <folder> <role>", "stage the exchange of a role's keys")
    .option("--remove <id>", "the key that goes, by the beginning of its id (repeatable)", several)
    .option("--add <file>", "the new key, public or private (repeatable)", several)
    .option("--threshold <number>", "how many of the keys must sign", count("--threshold"))
    .option("--rehearse", "stage nothing: show what old and new clients would make of it")
    .action((folder: string, role: string, options: RotateOptions) =>
      inContext(options, async (context) => (await actions()).rotate(folder, role, options, context)),
    );

  signingOptions(
    verb("resign <folder> [role...]", "sign roles again with a new version and expiry (default: timestamp)")
      .option("--request <folder>", "write a request there for each role that still needs signatures")
      .option("--attach <file>", "add the signatures in this response (repeatable)", several),
  ).action((folder: string, roles: string[], options: PublishOptions) =>
    inContext(options, async (context) =>
      (await import("./publish.js")).resign(folder, roles, options, context),
    ),
  );
}

/** Who signs: key files, or signers elsewhere. */
export function signingOptions(command: Command): Command {
  return command
    .option("-k, --key <pem>", "sign with this private key (repeatable)", several)
    .option(
      "--passphrase-file <file>",
      `a file whose first line is the keys' passphrase (else ${PASSPHRASE_VARIABLE}, else asked for)`,
    )
    .option("--signer-command <program>", "let a program sign: one JSON line in, one out")
    .option("--signer-arg <word>", "an argument for that program (repeatable)", several)
    .option("--key-ref <name>", "that program's name for the key")
    .option("--pkcs11-module <library>", "let a security module sign, through its PKCS#11 library")
    .option("--pkcs11-token <label>", "which token")
    .option("--pkcs11-key <label>", "which key, by its label")
    .option("--pkcs11-id <hex>", "which key, by its id")
    .option("--pkcs11-allow-extractable", "accept a key that can be extracted from the module")
    .option("--pin-file <file>", "a file whose first line is the PIN (else BOOTPROOF_PIN, else asked for)");
}
