import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { keySigner } from "../../crypto/signer.js";
import { parseImage } from "../../mcuboot/image.js";
import { openPermission, signPermission } from "../../trust/permission.js";
import { PolicyError } from "../../trust/policy-error.js";
import type { BoardRatchet, RatchetState } from "../../trust/ratchet.js";
import { mergeRatchets, withPermission, withTrustedMemory } from "../../trust/ratchet-changes.js";
import { parseRatchet } from "../../trust/ratchet-file.js";
import { RatchetStore } from "../../trust-store/ratchet-store.js";
import { TPM_INDICES, TpmCounter, tpmKind } from "../../trust-store/tpm-counter.js";
import { openRatchet, orderOfVersions, trustedMemoryKind } from "../audit/ratchet-memory.js";
import { recorder } from "../audit/recorder.js";
import { type CommonOptions, commonOptions, inContext, readKeys, several, wholeNumber } from "../context.js";
import { readAs, readInput, writeOutput } from "../files.js";
import { printable, table } from "../output.js";
import { type ChosenPolicy, choosePolicy } from "../policy/policy-options.js";
import { passphraseHelp, readPrivateKey } from "../secrets.js";
import { ratchetFolder } from "../state-folders.js";
import { UsageError } from "../usage-error.js";

interface AllowOptions extends CommonOptions {
  key: string[];
  policy?: string;
}

interface PermitOptions extends CommonOptions {
  key: string;
  board: string;
  image: string;
  reason: string;
  output: string;
  days: number;
  passphraseFile?: string;
}

export function define(command: Command): void {
  const verb = (signature: string, description: string) =>
    commonOptions(command.command(signature).description(description));

  verb("show [board]", "show what is remembered: about all boards, or one identity").action(
    (board: string | undefined, options: CommonOptions) =>
      inContext(options, async ({ out }) => {
        const { boards } = openRatchet().read();
        const shown = Object.entries(boards).filter(([id]) => board === undefined || id === board);
        const rows = shown.flatMap(([id, one]) => rowsOf(id, one));
        const none =
          board === undefined
            ? "Nothing was confirmed on a board with an identity of its own."
            : `This host remembers nothing about ${printable(board)}.`;
        out.result(Object.fromEntries(shown), rows.length === 0 ? none : table(HEADER, rows));
      }),
  );

  verb("export", "write the ratchet to a file, for another host to import")
    .requiredOption("-o, --output <file>", "the file")
    .action((options: CommonOptions & { output: string }) =>
      inContext(options, async ({ out }) => {
        const state = openRatchet().read();
        writeOutput(options.output, `${JSON.stringify(state, undefined, 1)}\n`);
        const boards = Object.keys(state.boards).length;
        out.result({ file: options.output, boards }, `Wrote ${boards} board(s) to ${options.output}.`);
      }),
    );

  verb("import <file>", "merge another host's ratchet; this never lowers anything").action(
    (file: string, options: CommonOptions) =>
      inContext(options, async ({ out }) => {
        const theirs = await readAs(file, (content) => parseRatchet(new TextDecoder().decode(content)));
        const before = openRatchet().read();
        const after = await openRatchet().change((state) => mergeRatchets(state, theirs, orderOfVersions));
        const raised = changedBoards(before, after);
        recorder()?.record({ type: "ratchet.change", result: "ok", detail: { imported: raised.length } });
        out.result({ file, raised }, `Joined ${file}: ${raised.length} board(s) changed.`);
      }),
  );

  verb("bind", "bind the ratchet to a counter in this machine's TPM, so that an old copy is detected")
    .option("--index <number>", "the TPM's NV index to use (default 0x1500b07)", tpmIndex, 0x0150_0b07)
    .action((options: CommonOptions & { index: number }) =>
      inContext(options, async ({ out }) => {
        const store = openRatchet();
        if (store.read().trustedMemory !== undefined)
          throw new UsageError("The ratchet is already bound.", "bootproof ratchet status shows to what.");
        const counter = new TpmCounter(options.index);
        counter.define();
        const shows = counter.read();
        const kind = tpmKind();
        await store.change((state) => withTrustedMemory(state, { index: options.index, shows }));
        const index = `0x${options.index.toString(16)}`;
        recorder()?.record({ type: "ratchet.change", result: "ok", detail: { bound: index, kind } });
        out.result({ index, shows, kind }, `Bound to the counter ${index} of a TPM (${kind}).`);
      }),
    );

  verb("unbind", "release the TPM's counter; the ratchet itself stays").action((options: CommonOptions) =>
    inContext(options, async ({ out }) => {
      // Also where the counter is gone or was found out of step: this is the way out, and it is in the log.
      const store = new RatchetStore({ folder: ratchetFolder() });
      const { trustedMemory } = await store.change((state) => withTrustedMemory(state, undefined));
      recorder()?.record({ type: "ratchet.change", result: "ok", detail: { bound: "none" } });
      out.result({ bound: trustedMemory !== undefined }, "The ratchet is no longer bound to a TPM.");
    }),
  );

  verb("status", "show whether the ratchet is intact, and what it is bound to").action(
    (options: CommonOptions) =>
      inContext(options, async ({ out }) => {
        const { boards, generation, trustedMemory } = openRatchet().read();
        const kind = trustedMemory && trustedMemoryKind();
        const index = trustedMemory && `0x${trustedMemory.index.toString(16)}`;
        const bound =
          index === undefined
            ? "bound to no trusted counter"
            : `bound to the counter ${index} of a TPM (${kind ?? "which does not answer"})`;
        const facts = {
          boards: Object.keys(boards).length,
          generation,
          ...(index && { index, ...(kind && { kind }) }),
        };
        out.result(facts, `${facts.boards} board(s), change ${generation}, ${bound}.`);
      }),
  );

  verb("permit", "sign a permission: one image, on one board, once")
    .requiredOption("-k, --key <file>", "the private key of a person who may permit it")
    .requiredOption("--board <id>", "the board's identity, as ratchet show prints it")
    .requiredOption("--image <file>", "the image that may run although it is older")
    .requiredOption("--reason <text>", "why; it is kept with the permission")
    .requiredOption("-o, --output <file>", "the permission")
    .option(
      "--days <count>",
      "how long it is valid (default 7)",
      wholeNumber("--days", { min: 1, max: 365 }),
      7,
    )
    .option("--passphrase-file <file>", passphraseHelp)
    .action((options: PermitOptions) =>
      inContext(options, async ({ out }) => {
        const image = await readAs(options.image, (content) => parseImage(content));
        const hash = toHex(image.imageHash?.value ?? new Uint8Array());
        const signer = keySigner(await readPrivateKey(options.key, options));
        const expires = new Date(Date.now() + options.days * 86_400_000).toISOString();
        const nonce = randomBytes(16).toString("hex");
        const request = { board: options.board, image: hash, reason: options.reason, nonce, expires };
        writeOutput(options.output, await signPermission(request, signer), { overwrite: false });
        out.result(
          { file: options.output, ...request },
          `Wrote ${options.output}: image ${hash.slice(0, 12)} may run once on ${printable(options.board)}, until ${expires}.`,
        );
      }),
    );

  verb("allow <permission>", "accept a signed permission: its image may be flashed once")
    .requiredOption("--key <file>", "a public key that may permit it (repeatable)", several)
    .option(
      "--policy <file>",
      "the policy that names who may (default: BOOTPROOF_POLICY, else the config file's)",
    )
    .action((file: string, options: AllowOptions) =>
      inContext(options, async ({ out, config }) => {
        const keys = await readKeys(options.key, out);
        const text = new TextDecoder().decode(readInput(file));
        const { board, permission } = await openPermission(text, keys, new Date().toISOString());
        const chosen = await choosePolicy(
          options.policy === undefined ? {} : { policy: options.policy },
          config,
        );
        if (chosen) mustBeNamed(chosen, permission.keyHash);
        await openRatchet().change((state) => withPermission(state, board, permission));
        recorder()?.record({
          type: "ratchet.change",
          board: { id: board },
          image: { hash: permission.hash },
          result: "ok",
          detail: { reason: permission.reason, keyHash: permission.keyHash, nonce: permission.nonce },
        });
        out.result(
          { board, ...permission },
          `Image ${permission.hash.slice(0, 12)} may run once on ${printable(board)}: ${printable(permission.reason)}`,
        );
      }),
    );
}

function tpmIndex(text: string): number {
  return wholeNumber("--index", { min: TPM_INDICES.from, max: TPM_INDICES.to })(text);
}

/** Where there is a policy, it says who may break the glass. @throws PolicyError `policy-refused` */
function mustBeNamed({ policy, file }: ChosenPolicy, keyHash: string): void {
  const { breakGlassKeys = [] } = policy.settings;
  if (breakGlassKeys.some((key) => keyHash.startsWith(key))) return;
  throw new PolicyError(
    "policy-refused",
    `The permission is signed by key ${keyHash.slice(0, 16)}, which the policy does not name under breakGlassKeys.`,
    { hint: `The owner of ${file} can name it there.` },
  );
}

const HEADER = ["BOARD", "IMAGE", "COUNTER", "CONFIRMED", "VERSION", "RELEASE", "UNSETTLED"];

function rowsOf(id: string, { images }: BoardRatchet): string[][] {
  return Object.entries(images).map(([number, { counter, version, release, intents }]) => [
    printable(id),
    number,
    counter?.counter === undefined ? "-" : `${counter.counter}`,
    (counter ?? version)?.at.slice(0, 10) ?? "-",
    version?.version ?? "-",
    release?.release === undefined ? "-" : `${release.release}`,
    intents.map((intent) => `${intent.version} (counter ${intent.counter ?? "-"})`).join(", ") || "-",
  ]);
}

function changedBoards(before: RatchetState, after: RatchetState): string[] {
  return Object.keys(after.boards).filter(
    (id) => JSON.stringify(before.boards[id]) !== JSON.stringify(after.boards[id]),
  );
}
