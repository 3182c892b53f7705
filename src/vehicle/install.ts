import { fromHex, toHex } from "../bytes.js";
import { parseImage } from "../mcuboot/image.js";
import {
  flashTogether,
  type JointBoard,
  type JointEnding,
  type JointTask,
  type TogetherEvent,
  type TogetherOutcome,
} from "../station/together.js";
import type { JsonObject } from "../tuf/canonical-json.js";
import { TufError } from "../tuf/error.js";
import { UptaneError } from "../uptane/error.js";
import type { VehicleFacts, VerifiedDirections, VerifiedImage } from "../uptane-store/primary.js";
import type { Installation, KnownImage, VehicleState } from "../uptane-store/vehicle-state.js";

/** The image that one board of a vehicle is to run, and which metadata says so. */
export interface VehicleImage extends KnownImage {
  readonly bytes: Uint8Array;
  /** The role of the Image repository that lists it. */
  readonly role: string;
  readonly versions: Readonly<Record<string, number>>;
}

/** A board of a vehicle. */
export interface VehicleBoard {
  readonly name: string;
  readonly serial: string;
  readonly mayStayBehind?: boolean;
  open(image: VehicleImage, signal: AbortSignal): Promise<JointBoard>;
}

export interface InstallOptions {
  /** Full verification by the Primary and for each board; called only where an installation starts. */
  verify(): Promise<VerifiedDirections>;
  readonly signal?: AbortSignal | undefined;
  readonly withinMs?: number | undefined;
}

export interface VehicleEnding extends JointEnding {
  readonly serial: string;
  /** What was directed. */
  readonly target: string;
}

export interface VehicleResult {
  readonly outcome: TogetherOutcome | "nothing-directed";
  readonly boards: readonly VehicleEnding[];
  /** An installation that had begun before was taken up: nothing was verified anew, whatever has expired since. */
  readonly resumed: boolean;
  /** When the installation was verified: RFC 3339, UTC; absent when nothing was directed. */
  readonly verifiedAt?: string;
}

/**
 * Installs what a vehicle's two repositories direct, on all of its boards together: verified by the Primary and again for
 * each board, tried on all, confirmed only when all have passed. An installation that has begun is finished first, by the
 * directions with which it began: expired metadata forbids to start one, never to finish it.
 *
 * @param vehicle - its id, its Primary and its ECUs
 * @param state - of the vehicle on this host
 * @param boards - how each is reached
 * @param options - as of `verifyForVehicle` and `flash`; times in milliseconds
 * @returns the outcome, and how each board's update ended
 * @throws TufError, UptaneError when nothing may be installed; what was detected is kept for the next report
 */
export async function* installOnVehicle(
  vehicle: VehicleFacts,
  state: VehicleState,
  boards: readonly VehicleBoard[],
  options: InstallOptions,
): AsyncGenerator<TogetherEvent, VehicleResult, void> {
  const before = state.installation;
  const resumed = before?.hasBegun === true;
  const refused = new Map<string, Error>();
  const installation = resumed ? before : await begin(vehicle, state, boards, options, refused);
  if (!installation) return { outcome: "nothing-directed", boards: [], resumed: false };
  const { signal, withinMs } = options;
  const directed = boards.filter(({ serial }) => installation.images[serial] !== undefined);
  const tasks = directed.map((board): JointTask => {
    const known = installation.images[board.serial]!;
    return {
      name: board.name,
      hash: fromHex(known.imageHash),
      mayStayBehind: board.mayStayBehind,
      open: (stop) => {
        const image = { ...known, bytes: state.image(known), versions: installation.versions };
        return board.open(image, stop);
      },
    };
  });
  const job = flashTogether(tasks, { signal, withinMs });
  try {
    for (let next = await job.next(); ; next = await job.next()) {
      if (next.done) {
        const rows = next.value.boards.map((row) => ({
          ...row,
          ...aboutBoard(row.board, directed, installation),
        }));
        const behind = boards.flatMap((board) => leftBehind(board, refused));
        const outcome = outcomeOf(next.value.outcome, behind);
        finish(state, installation, [...rows, ...behind], outcome);
        return { outcome, boards: [...rows, ...behind], resumed, verifiedAt: installation.verifiedAt };
      }
      // On the disk before the first byte goes to a board.
      if (next.value.kind === "phase" && next.value.phase === "try")
        state.keepInstallation({ ...installation, hasBegun: true });
      yield next.value;
    }
  } finally {
    await job.return({ outcome: "refused", boards: [] });
  }
}

/** Verifies everything and keeps what is to be installed. Undefined: nothing is directed. */
async function begin(
  vehicle: VehicleFacts,
  state: VehicleState,
  boards: readonly VehicleBoard[],
  { verify }: InstallOptions,
  refused: Map<string, Error>,
): Promise<Installation | undefined> {
  const verified = await verifiedOrNoted(vehicle, state, verify);
  for (const [serial, error] of verified.refused) {
    noteAttack(state, serial, error);
    if (!boards.find((board) => board.serial === serial)?.mayStayBehind) throw error;
    refused.set(serial, error);
  }
  if (verified.images.length === 0) {
    state.keepInstallation(undefined);
    return undefined;
  }
  const installation: Installation = {
    verifiedAt: verified.time.now.toISOString(),
    hasBegun: false,
    images: Object.fromEntries(verified.images.map((image) => [image.serial, knownImage(image)])),
    versions: verified.versions,
  };
  state.keepInstallation(
    installation,
    verified.images.map(({ bytes }) => bytes),
  );
  return installation;
}

async function verifiedOrNoted(
  vehicle: VehicleFacts,
  state: VehicleState,
  verify: InstallOptions["verify"],
): Promise<VerifiedDirections> {
  try {
    const verified = await verify();
    for (const { serial } of vehicle.ecus) state.changeEcu(serial, ({ attacks: _before, ...rest }) => rest);
    return verified;
  } catch (error) {
    if (error instanceof TufError || error instanceof UptaneError)
      for (const { serial } of vehicle.ecus) noteAttack(state, serial, error);
    throw error;
  }
}

function noteAttack(state: VehicleState, serial: string, error: Error): void {
  const code = "code" in error ? `${String(error.code)}: ` : "";
  state.changeEcu(serial, (ecu) => ({ ...ecu, attacks: `${code}${error.message}` }));
}

function knownImage({ directed, bytes }: VerifiedImage): KnownImage & { role: string } {
  const { target, role, releaseCounter } = directed;
  const { imageHash } = parseImage(bytes);
  if (!imageHash)
    throw new UptaneError(
      "bad-assignment",
      target.path,
      `${target.path} has no image hash to ask a board for.`,
    );
  return {
    path: target.path,
    length: target.length,
    hashes: { ...Object.fromEntries(target.hashes), sha256: target.hashes.get("sha256") ?? "" },
    imageHash: toHex(imageHash.value),
    role,
    ...(releaseCounter !== undefined && { releaseCounter }),
  };
}

function aboutBoard(name: string, boards: readonly VehicleBoard[], { images }: Installation) {
  const { serial } = boards.find((board) => board.name === name)!;
  return { serial, target: images[serial]!.path };
}

/** A board that its own verification refused, and that may stay behind. */
function leftBehind({ name, serial }: VehicleBoard, refused: ReadonlyMap<string, Error>): VehicleEnding[] {
  const error = refused.get(serial);
  if (!error) return [];
  return [{ board: name, serial, target: "-", state: "unknown", failure: error.message, isIsolated: true }];
}

function outcomeOf(outcome: TogetherOutcome, behind: readonly VehicleEnding[]): TogetherOutcome {
  return outcome === "committed" && behind.length > 0 ? "isolated" : outcome;
}

/** After these nothing is left to finish: all boards stand on one side, or were never touched. */
const FINISHED: readonly TogetherOutcome[] = ["committed", "isolated", "refused", "reverted"];

function finish(
  state: VehicleState,
  installation: Installation,
  rows: readonly VehicleEnding[],
  outcome: TogetherOutcome,
): void {
  for (const { serial, state: stands } of rows) {
    const known = installation.images[serial];
    if (stands !== "confirmed" || !known) continue;
    const { role: _role, ...installed } = known;
    state.changeEcu(serial, (ecu) => ({ ...ecu, installed }));
  }
  state.keepReport(installationReport(rows, outcome));
  if (FINISHED.includes(outcome)) state.keepInstallation(undefined);
}

/** aktualizr's numbers: done, refused by verification, not installed, not finished. */
const CODES = { ok: 0, verification: 3, failed: 4, unfinished: 21 } as const;

function installationReport(rows: readonly VehicleEnding[], outcome: TogetherOutcome): JsonObject {
  const result = (code: number, description: string) => ({ success: code === CODES.ok, code, description });
  const items = rows.map(({ serial, state, failure = "", target }) => {
    const failed = target === "-" ? CODES.verification : CODES.failed;
    const left = ["on-trial", "marked"].includes(state) ? CODES.unfinished : failed;
    return { ecu: serial, result: result(state === "confirmed" ? CODES.ok : left, failure) };
  });
  const whole =
    outcome === "committed" ? CODES.ok : FINISHED.includes(outcome) ? CODES.failed : CODES.unfinished;
  return { report: { result: result(whole, outcome), items } };
}
