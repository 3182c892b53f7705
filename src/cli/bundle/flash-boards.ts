import { parseImage } from "../../mcuboot/image.js";
import { knownImages } from "../../session/known-images.js";
import { flashTogether, type JointTask } from "../../station/together.js";
import { UptaneError } from "../../uptane/error.js";
import type { CarriedImage } from "../../uptane/verify-offline.js";
import { compressing } from "../compress.js";
import { readKeys } from "../context.js";
import { type FlashCommandOptions, workflowOptions } from "../flash/options.js";
import { keyFiles } from "../key-files.js";
import { type ChosenBoard, chooseBoards } from "../many-boards/choose-boards.js";
import { driveTogether, finishTogether, type OpenJoint } from "../many-boards/flash-together.js";
import { flashWorkflow } from "../many-boards/flash-workflow.js";
import { choosePolicy } from "../policy/policy-options.js";
import { UsageError } from "../usage-error.js";
import type { Context } from "../verb-context.js";
import { type BundleTrustOptions, type VerifiedBundle, verifyBundle } from "./open-bundle.js";

/** Updates the boards of a board file together, each with the image that a bundle has for its hardware. */
export async function flashBoardsOfBundle(
  place: string,
  options: FlashCommandOptions & BundleTrustOptions,
  context: Context,
): Promise<void> {
  const { out, config, signal } = context;
  const boards = await chooseBoards(options, context);
  for (const { name, ecu } of boards)
    if (!ecu)
      throw new UsageError(
        `${name} has no hardware id.`,
        "Name one for all with --hardware, or give each board an ecu in the board file (bootproof help bundles).",
      );
  const keys = await readKeys(keyFiles(options.key, context), out);
  const chosen = await choosePolicy(options, config);
  const bundle = await verifyBundle(place, options, context);
  const images = new Map(boards.map((board) => [board.name, imageFor(board, bundle)]));
  const how = { ...workflowOptions(options), keys, signal, ...compressing(options, keys) };
  const taskFor =
    (open: OpenJoint) =>
    (board: ChosenBoard): JointTask => {
      const { target, bytes, releaseCounter } = images.get(board.name)!;
      const metadata = { by: bundle.director, versions: bundle.directions.versions };
      const release = { metadata, ...(releaseCounter !== undefined && { release: releaseCounter }) };
      const workflow = flashWorkflow(
        { image: bytes, imageNumber: 0, release },
        { ...how, known: knownImages(target.path, bytes) },
        { chosen, settles: options.settle ?? false },
      );
      return {
        name: board.name,
        hash: parseImage(bytes).imageHash?.value,
        mayStayBehind: board.ecu!.mayStayBehind,
        open: (stop) => open(board, workflow, stop),
      };
    };
  const { wait: withinMs } = options;
  const result = await driveTogether(options, context, boards, (open) =>
    flashTogether(boards.map(taskFor(open)), { signal, withinMs }),
  );
  finishTogether(result, out);
}

function imageFor({ name, ecu }: ChosenBoard, { directions }: VerifiedBundle): CarriedImage {
  const image = directions.images.find(({ hardwareIds }) => hardwareIds.includes(ecu!.hardwareId));
  if (image) return image;
  const there = directions.images.flatMap(({ hardwareIds }) => hardwareIds).join(", ");
  throw new UptaneError(
    "wrong-hardware-id",
    name,
    `The update ${directions.name} has nothing for ${name}, which is ${ecu!.hardwareId}; it is for ${there || "none"}.`,
  );
}
