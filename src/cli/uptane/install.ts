import { knownImages } from "../../session/known-images.js";
import { installOnVehicle, type VehicleBoard, type VehicleResult } from "../../vehicle/install.js";
import { readKeys } from "../context.js";
import type { ExitStatus } from "../exit.js";
import { type FlashCommandOptions, workflowOptions } from "../flash/options.js";
import { keyFiles } from "../key-files.js";
import { driveTogether, type OpenJoint, wordsOfOutcome } from "../many-boards/flash-together.js";
import { flashWorkflow } from "../many-boards/flash-workflow.js";
import { type Output, printable, table, tone } from "../output.js";
import { choosePolicy } from "../policy/policy-options.js";
import type { Context } from "../verb-context.js";
import { boardsOf, directorId, openVehicle, VEHICLE_WAIT_MS, verifyVehicle } from "./open-vehicle.js";
import { writeReport } from "./report.js";

export interface VehicleInstallOptions extends FlashCommandOptions {
  manifest?: string;
  abandon?: boolean;
}

/** Installs what the two repositories direct on the boards of a vehicle, and reports it. */
export async function install(file: string, options: VehicleInstallOptions, context: Context): Promise<void> {
  const { out, config, signal } = context;
  const vehicle = await openVehicle(file);
  const { state, facts, entry } = vehicle;
  const keys = await readKeys(keyFiles(options.key, context), out);
  const chosen = await choosePolicy(options, config);
  const boards = await boardsOf(file, vehicle, context);
  const how = { ...workflowOptions(options), keys, signal };
  const boardFor = (open: OpenJoint) =>
    entry.ecus.map(
      ({ board: name, serial, mayStayBehind }): VehicleBoard => ({
        name,
        serial,
        mayStayBehind,
        open(image, stop) {
          const { bytes, path, releaseCounter, versions } = image;
          const metadata = { by: directorId(vehicle), versions };
          const release = { metadata, ...(releaseCounter !== undefined && { release: releaseCounter }) };
          const workflow = flashWorkflow(
            { image: bytes, imageNumber: 0, release },
            { ...how, known: knownImages(path, bytes) },
            { chosen, settles: options.settle ?? false },
          );
          return open(boards.find((board) => board.name === name)!, workflow, stop);
        },
      }),
    );
  const result = await state.alone(VEHICLE_WAIT_MS, async () => {
    if (options.abandon && state.installation) {
      state.keepInstallation(undefined);
      out.note("The installation that was under way is forgotten.");
    }
    if (state.installation?.hasBegun)
      out.note(`An installation of ${state.installation.verifiedAt} is under way: it is finished first.`);
    return driveTogether(options, context, boards, (open) =>
      installOnVehicle(facts, state, boardFor(open), {
        verify: () => verifyVehicle(vehicle, context),
        signal,
        withinMs: options.wait,
      }),
    );
  });
  if (options.manifest !== undefined) await writeReport(options.manifest, vehicle, boards, options, context);
  finish(result, out);
}

function finish(result: VehicleResult, out: Output): void {
  const { outcome, boards, resumed, verifiedAt } = result;
  if (outcome === "nothing-directed") {
    if (out.json) out.line({ kind: "summary", outcome, exitStatus: 0, boards: [] }, "");
    else out.result(undefined, "Nothing is directed to this vehicle.");
    return;
  }
  const { status, message, hint } = wordsOfOutcome({ outcome, boards });
  const rows = boards.map(({ board, serial, target, state, version = "-", failure = "" }) => [
    printable(board),
    printable(serial),
    printable(target),
    state,
    printable(version),
    printable(failure),
  ]);
  const text = [
    table(["BOARD", "ECU", "IMAGE", "STATE", "RUNS", "WHAT WENT WRONG"], rows),
    tone(status === 0 ? "good" : "bad", `${outcome}: ${printable(message)}`),
    ...(hint === undefined ? [] : [`  try: ${hint}`]),
  ];
  const summary = {
    kind: "summary",
    outcome,
    exitStatus: status,
    message,
    hint,
    resumed,
    verifiedAt,
    boards,
  };
  if (out.json) out.line(summary, "");
  else out.result(undefined, text.join("\n"));
  process.exitCode = status satisfies ExitStatus;
}
