import { createHash } from "node:crypto";
import { join } from "node:path";
import type { TufLimits } from "../../tuf/client.js";
import { TufError } from "../../tuf/error.js";
import { trustRoot } from "../../tuf/first-trust.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { type OpenRepository, openRepository, storeNameOf } from "../../tuf-store/open-repository.js";
import type { Vehicle } from "../../uptane/director.js";
import { parseUptaneMetadata } from "../../uptane/reader.js";
import {
  DIRECTOR_LIMITS,
  type DirectedImage,
  type Directions,
  type Extent,
  IMAGE_LIMITS,
  uptaneDialect,
  verifyInFull,
  verifyInPart,
  withDelegationsFolder,
  withNewestTargets,
} from "../../uptane/verify.js";
import { readAs } from "../files.js";
import { printable, table } from "../output.js";
import { pair } from "../pair.js";
import { uptaneStores } from "../state-folders.js";
import { timeFacts } from "../tuf/repository-place.js";
import { timeFloors } from "../tuf/time-floors.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, wholeNumber } from "../verb-context.js";
import { uptanePlace } from "./place.js";

export interface UptaneVerifyOptions extends CommonOptions {
  director: string;
  images?: string;
  ecu: string[];
  installed?: string[];
  vehicle?: string;
  directorRoot?: string;
  imagesRoot?: string;
  partial?: boolean;
}

export async function verify(options: UptaneVerifyOptions, context: Context): Promise<void> {
  const { director: from, images: imagesFrom, partial = false } = options;
  if (!partial && imagesFrom === undefined)
    throw new UsageError(
      "The Image repository is not named.",
      "Add --images, or --partial to do without it.",
    );
  const vehicle = vehicleOf(options);
  const extent = partial ? "partial" : "full";
  const opening = { extent, vehicle, context } as const;
  const director = await open(from, {
    ...opening,
    limits: DIRECTOR_LIMITS,
    root: options.directorRoot,
    rootOption: "--director-root",
  });
  const images =
    partial || imagesFrom === undefined
      ? undefined
      : await open(imagesFrom, {
          ...opening,
          limits: IMAGE_LIMITS,
          root: options.imagesRoot,
          rootOption: "--images-root",
        });
  const { clockBehindMs, source, now } = director.time;
  if (clockBehindMs !== undefined)
    context.out.warn(
      `This computer's clock is behind: by the ${source} it is at least ${now.toISOString()}. That time is used.`,
    );
  const directions = await directionsOf(director, images, vehicle);
  show(directions, { extent, director, vehicle }, context);
}

/** Longer than any update takes that is not being slowed down on purpose. */
const WAIT_MS = 120_000;

/** Processes take turns, so that none puts older metadata in the place of newer. */
async function directionsOf(
  director: OpenRepository,
  images: OpenRepository | undefined,
  vehicle: Vehicle,
): Promise<Directions<DirectedImage> | Directions> {
  const directions = await director.store.alone(WAIT_MS, async () => {
    if (!images) return verifyInPart(director.client, vehicle);
    return images.store.alone(WAIT_MS, async () => {
      const found = await verifyInFull({ director: director.client, images: images.client }, vehicle);
      images.store.writeLatestTime(images.time.now);
      return found;
    });
  });
  director.store.writeLatestTime(director.time.now);
  return directions;
}

function vehicleOf({ ecu, installed = [], vehicle }: UptaneVerifyOptions): Vehicle {
  const counters = new Map(
    installed.map((text) => {
      const [serial, counter] = pair(text, "--installed", "SERIAL=COUNTER");
      return [serial, wholeNumber("--installed", { max: Number.MAX_SAFE_INTEGER })(counter)];
    }),
  );
  const ecus = ecu.map((text) => {
    const [serial, hardwareId] = pair(text, "--ecu", "SERIAL=HARDWARE-ID");
    return { serial, hardwareId, releaseCounter: counters.get(serial) };
  });
  const serials = ecus.map(({ serial }) => serial);
  const twice = serials.find((serial, index) => serials.indexOf(serial) !== index);
  if (twice !== undefined) throw new UsageError(`ECU ${twice} is named twice.`, "Give each ECU once.");
  const stranger = [...counters.keys()].find((serial) => !serials.includes(serial));
  if (stranger !== undefined)
    throw new UsageError(`--installed names ECU ${stranger}, which no --ecu does.`, "Add it with --ecu.");
  return { id: vehicle, ecus };
}

interface Opening {
  readonly extent: Extent;
  readonly vehicle: Vehicle;
  readonly context: Context;
  readonly limits: Partial<TufLimits>;
  readonly root: string | undefined;
  /** The option that names it. */
  readonly rootOption: string;
}

/** One repository of the pair. What is trusted is kept by place and vehicle: a Director says something else to each. */
async function open(
  from: string,
  { extent, vehicle, context, limits, root, rootOption }: Opening,
): Promise<OpenRepository> {
  const opened = openRepository(
    { name: storeNameOf(from), ...uptanePlace(from) },
    {
      stores: join(uptaneStores(), folderOf(vehicle)),
      clock: new Date(),
      floors: await timeFloors(context.out),
      signal: context.signal,
      dialect: uptaneDialect(extent),
      limits,
      places: extent === "partial" ? withNewestTargets : withDelegationsFolder,
    },
  );
  if ((await opened.store.read("root")) !== undefined) return opened;
  if (root === undefined)
    throw new TufError("no-trusted-root", "root", `No root is trusted for ${from} and this vehicle yet.`, {
      hint: `Name the root file that you got from the owner: ${rootOption} FILE.`,
    });
  await readAs(root, (bytes) =>
    trustRoot(bytes, opened.store, { verify: verifyNatively, parse: parseUptaneMetadata }),
  );
  return opened;
}

function folderOf({ id }: Vehicle): string {
  return id === undefined ? "any" : createHash("sha256").update(id).digest("hex").slice(0, 16);
}

function show(
  { assignments, directorRoles }: Directions<DirectedImage> | Directions,
  { extent, director, vehicle }: { extent: Extent; director: OpenRepository; vehicle: Vehicle },
  { out }: Context,
): void {
  const images = assignments.map((assignment) => {
    const { ecu, target } = assignment;
    return {
      ecu: ecu.serial,
      hardwareId: ecu.hardwareId,
      target: target.path,
      length: target.length,
      hashes: Object.fromEntries(target.hashes),
      ...("role" in assignment && {
        role: assignment.role,
        isHardwareStated: assignment.isHardwareStated,
        ...(assignment.releaseCounter !== undefined && { releaseCounter: assignment.releaseCounter }),
      }),
    };
  });
  const facts = {
    verification: extent,
    ...(vehicle.id !== undefined && { vehicle: vehicle.id }),
    directorRoles,
    images,
    time: timeFacts(director.time),
  };
  const rows = images.map((image) => [
    printable(image.ecu),
    printable(image.target),
    String(image.length),
    "releaseCounter" in image ? String(image.releaseCounter) : "-",
    "role" in image ? printable(image.role ?? "-") : "-",
  ]);
  const head = `${extent} verification; of the Director: ${directorRoles.join(", ")} (time ${facts.time.now}, from ${facts.time.source})`;
  const body =
    images.length === 0
      ? "nothing is directed to this vehicle"
      : table(["ECU", "image", "bytes", "release counter", "vouched for by"], rows);
  out.result(facts, `${head}\n${body}`);
}
