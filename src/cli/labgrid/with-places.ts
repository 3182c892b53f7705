import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { environmentWithoutSecrets } from "../../child-environment.js";
import { parseAddress } from "../../transport/parse-address.js";
import {
  type BoardsOptions,
  type ChosenBoard,
  meansPlaces,
  mustNameOneWay,
} from "../many-boards/choose-boards.js";
import { printable } from "../output.js";
import { thisProgram } from "../this-program.js";
import { UsageError } from "../usage-error.js";
import type { Context } from "../verb-context.js";
import { LabError, type LabErrorCode } from "./lab-error.js";
import type { KeeperRequest, KeeperWord } from "./place-keeper.js";

/**
 * Does the work with the places of a lab that the command line names, if it names any: reserved, acquired, and given back at
 * the end, however it ends.
 */
export async function withPlaces<Options extends BoardsOptions>(
  options: Options,
  context: Context,
  work: (options: Options) => Promise<void>,
): Promise<void> {
  if (!meansPlaces(options)) return work(options);
  mustNameOneWay(options);
  const keeper = startKeeper({ wanted: wantedOf(options) }, context);
  try {
    const places = await keeper.taken;
    context.out.note(`Acquired from labgrid: ${printable(places.join(", "))}.`);
    const { addressOfPlace } = await import("bootproof/prove");
    const taken = await Promise.all(
      places.map(async (name): Promise<ChosenBoard> => {
        const { address, power } = await addressOfPlace(name);
        return { name, address: parseAddress(address), ...(power && { power }) };
      }),
    );
    await work({ ...options, taken });
  } finally {
    await keeper.end();
  }
}

/** The filters of the reservations, one a place. */
function wantedOf({ place, tag = [], places = 1 }: BoardsOptions): string[][] {
  if (place === undefined) {
    for (const one of tag) {
      if (/^[a-z][a-z0-9_]+=[\w.:-]+$/.test(one)) continue;
      throw new UsageError(
        `"${one}" is not a labgrid tag.`,
        "A tag looks like board=nrf52840dk. Tags of a board file need --boards FILE.",
      );
    }
    return Array.from({ length: places }, () => [...tag]);
  }
  for (const name of place)
    if (!/^[\w.+:][\w.+:-]{0,199}$/.test(name))
      throw new UsageError(`"${name}" has characters that no place of labgrid has.`);
  return [...new Set(place)].sort().map((name) => [`name=${name}`]);
}

function startKeeper(request: KeeperRequest, { out, signal }: Context) {
  signal.throwIfAborted();
  const [program, ...words] = thisProgram();
  const child = spawn(program!, [...words, "keep-places", "--no-log"], {
    // Ctrl-C and the end of this process must not reach it.
    detached: true,
    windowsHide: true,
    env: environmentWithoutSecrets(),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const end = async () => {
    child.stdin.end();
    await gone;
  };
  child.stdin.on("error", () => {});
  child.stdin.write(`${JSON.stringify(request)}\n`);
  const taken = new Promise<readonly string[]>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const word = JSON.parse(line) as KeeperWord;
      if (word.kind === "note") out.note(printable(word.text));
      else if (word.kind === "taken") resolve(word.places);
      else reject(new LabError(word.code as LabErrorCode, word.message, { hint: word.hint }));
    });
    child.once("error", reject);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    void gone.then(() =>
      reject(new LabError("lab-failed", "The process that keeps the places ended early.")),
    );
  });
  return { taken, end };
}
