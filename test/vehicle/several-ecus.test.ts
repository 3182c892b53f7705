import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { Key } from "../../src/crypto/keys.js";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { BootproofError } from "../../src/errors.js";
import { readFacts } from "../../src/session/board-facts.js";
import { Session } from "../../src/session/session.js";
import type { TogetherEvent } from "../../src/station/together.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import type { JsonObject } from "../../src/tuf/canonical-json.js";
import { sha256Hex } from "../../src/tuf/hashes.js";
import { addDelegation } from "../../src/tuf/repository/draft-delegations.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";
import { type FlashOptions, flash, HealthError } from "../../src/update/flash.js";
import { parseManifest, verifyManifest } from "../../src/uptane/manifest.js";
import { ecuKey } from "../../src/uptane-store/ecu-keys.js";
import { type VehicleFacts, verifyForVehicle } from "../../src/uptane-store/primary.js";
import { VehicleState } from "../../src/uptane-store/vehicle-state.js";
import { installOnVehicle, type VehicleBoard, type VehicleResult } from "../../src/vehicle/install.js";
import { vehicleManifest } from "../../src/vehicle/report.js";
import { days, newSigner, START, TestRepository } from "../support/tuf-repository.js";
import { Director } from "../support/uptane-director.js";
import { image, stands, trustedKey } from "../support/workflow-board.js";

/**
 * A vehicle with several ECUs: who gets what is the Director's to say, which images there are the Image repository's, and a
 * supplier signs for one of the boards. Two emulated boards, one bench that is their Primary.
 */

const WITHIN_MS = 2500;
const FACTS: VehicleFacts = {
  id: "VIN-48",
  primary: "bench",
  ecus: [
    { serial: "ECU-brake", hardwareId: "brake-hw" },
    { serial: "ECU-cluster", hardwareId: "cluster-hw" },
  ],
};
const NAMES = ["brake", "cluster"] as const;
type Name = (typeof NAMES)[number];

let files: Record<Name, Uint8Array>;
let older: Uint8Array;
let keys: Key[];
const folder = mkdtempSync(join(tmpdir(), "bootproof-vehicle-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(async () => {
  files = {
    brake: await image("good-b", { version: "2.1.0" }),
    cluster: await image("good-b", { version: "2.2.0" }),
  };
  older = await image("good-b", { version: "1.9.0" });
  keys = [await trustedKey()];
});

/** A program on the bench that can be killed: its links end, and it opens no others. */
class Host {
  readonly #streams = new Set<ByteStream>();
  #isDead = false;

  session(board: Board, signal?: AbortSignal): Promise<Session> {
    return Session.open(async (how) => {
      if (this.#isDead) throw new TransportError("failed", board.id, "This host was killed.");
      const stream = await board.connect();
      this.#streams.add(stream);
      return connect(stream, { signal: how, timeoutMs: 400 });
    }, signal);
  }

  async kill(): Promise<void> {
    this.#isDead = true;
    await Promise.all([...this.#streams].map((stream) => stream.close()));
  }
}

/** What a Director says of an image. */
const directed = (bytes: Uint8Array, serial: string, hardwareId: string, release: number): JsonObject => ({
  length: bytes.length,
  hashes: { sha256: sha256Hex(bytes) },
  custom: { ecuIdentifiers: { [serial]: { hardwareId } }, releaseCounter: release },
});

type Health = Partial<Record<Name, FlashOptions["health"]>>;
interface RunOptions {
  readonly now?: Date;
  readonly host?: Host;
  readonly health?: Health;
  readonly mayStayBehind?: readonly Name[];
  readonly at?: (event: TogetherEvent) => unknown;
}

/** Two boards, two repositories, a supplier, and the bench between them. Put away when the test ends. */
class Vehicle {
  readonly boards: Readonly<Record<Name, Board>>;
  readonly director: Director;
  readonly images: TestRepository;
  readonly state = new VehicleState(mkdtempSync(join(folder, "state-")));

  private constructor(boards: Vehicle["boards"], director: Director, images: TestRepository) {
    this.boards = boards;
    this.director = director;
    this.images = images;
  }

  static async create({ onTestFinished }: Pick<TestContext, "onTestFinished">): Promise<Vehicle> {
    const [brake, cluster] = await Promise.all(
      NAMES.map(() => startBoard({ machine: "wasm", variant: "good" })),
    );
    onTestFinished(async () => void (await Promise.all([brake!.close(), cluster!.close()])));
    const images = await TestRepository.create();
    images.signers.supplier = [await newSigner()];
    images.state = addDelegation(
      images.state,
      {
        name: "supplier",
        keys: images.signers.supplier,
        threshold: 1,
        terminating: false,
        paths: ["cluster/*"],
      },
      images.expires,
    );
    const vehicle = new Vehicle({ brake: brake!, cluster: cluster! }, await Director.create(), images);
    vehicle.list("brake/new.bin", files.brake, "brake-hw", 2);
    vehicle.list("brake/old.bin", older, "brake-hw", 1);
    vehicle.list("cluster/new.bin", files.cluster, "cluster-hw", 2, "supplier");
    await images.publish();
    await vehicle.direct();
    return vehicle;
  }

  list(path: string, bytes: Uint8Array, hardwareId: string, release: number, role = "targets"): void {
    this.images.add(path, bytes, role, { hardwareIds: [hardwareId], releaseCounter: release });
  }

  /** The Director sends each board its new image; `change` goes before that. */
  direct(change: JsonObject = {}, options: { version?: number } = {}): Promise<void> {
    return this.director.direct(
      {
        "brake/new.bin": directed(files.brake, "ECU-brake", "brake-hw", 2),
        "cluster/new.bin": directed(files.cluster, "ECU-cluster", "cluster-hw", 2),
        ...change,
      },
      options,
    );
  }

  verify(now: Date) {
    return verifyForVehicle(FACTS, this.state, {
      director: this.director,
      images: this.images,
      clock: now,
      roots: {
        director: this.director.files.get("1.root.json"),
        images: this.images.files.get("1.root.json"),
      },
    });
  }

  async install({ now = START, host = new Host(), health = {}, mayStayBehind = [], at }: RunOptions = {}) {
    const boards = FACTS.ecus.map(({ serial }, index): VehicleBoard => {
      const name = NAMES[index]!;
      return {
        name,
        serial,
        mayStayBehind: mayStayBehind.includes(name),
        open: async ({ bytes }, signal) => {
          const session = await host.session(this.boards[name], signal);
          const how = { keys, soakMs: 0, withinMs: WITHIN_MS, health: health[name] };
          return {
            session,
            close: () => session.close(),
            update: (change) => flash(session, bytes, { ...how, ...change }),
          };
        },
      };
    });
    const job = installOnVehicle(FACTS, this.state, boards, {
      verify: () => this.verify(now),
      withinMs: WITHIN_MS,
    });
    for (;;) {
      const { done, value } = await job.next();
      if (done) return value as VehicleResult;
      await at?.(value as TogetherEvent);
    }
  }

  /** What each board runs, asked by somebody who was not there; `?` behind one that is on trial. */
  async runs(): Promise<string> {
    const all = await Promise.all(
      NAMES.map(async (name) => {
        const session = await new Host().session(this.boards[name]);
        const { version, confirmed } = await stands(session);
        await session.close();
        return `${version}${confirmed ? "" : "?"}`;
      }),
    );
    return all.join(" ");
  }

  async manifest(now: Date) {
    const readings = await Promise.all(
      FACTS.ecus.map(async ({ serial }, index) => {
        const session = await new Host().session(this.boards[NAMES[index]!]);
        const facts = await readFacts(session);
        await session.close();
        return { serial, address: `wasm:${serial}`, readAt: now.toISOString(), facts };
      }),
    );
    return vehicleManifest(FACTS, this.state, readings, { now, software: "bootproof test" });
  }
}

const words = (event: TogetherEvent): string =>
  event.kind === "phase" ? event.phase : `${event.board} ${event.event.step}`;

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => "accepted",
    (caught: unknown) => caught,
  );
  return error instanceof BootproofError ? error.code : String(error);
}

const unwell = {
  name: "pump",
  check: async () => {
    throw new HealthError("The pump stands still.");
  },
};

const OLD = "1.0.0 1.0.0";
const NEW = "2.1.0 2.2.0";

describe.concurrent("a vehicle with several ECUs", () => {
  it("gets its images on all boards, and reports what each of them runs", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    const result = await vehicle.install();
    expect(result).toMatchObject({
      outcome: "committed",
      resumed: false,
      boards: [
        { serial: "ECU-brake", target: "brake/new.bin", state: "confirmed", version: "2.1.0" },
        { serial: "ECU-cluster", target: "cluster/new.bin", state: "confirmed", version: "2.2.0" },
      ],
    });
    expect(await vehicle.runs()).toBe(NEW);
    const bytes = await vehicle.manifest(START);
    const manifest = parseManifest(bytes);
    const known = {
      id: FACTS.id,
      primary: FACTS.primary,
      ecus: new Map(
        ["bench", "ECU-brake", "ECU-cluster"].map((serial) => [
          serial,
          { key: ecuKey(vehicle.state, serial).key },
        ]),
      ),
    };
    await verifyManifest(manifest, known, { verify: verifyNatively, now: START });
    const brake = manifest.reports.get("ECU-brake")!;
    expect(brake.installed).toEqual({
      path: "brake/new.bin",
      length: files.brake.length,
      hashes: { sha256: sha256Hex(files.brake) },
    });
    expect(brake.custom).toMatchObject({
      signedBy: "the bridge bench, which holds the key of this ECU",
      evidence: { running: { version: "2.1.0", confirmed: true } },
    });
    expect(manifest.installation).toMatchObject({ report: { result: { success: true, code: 0 } } });
    // A report is never sent twice: the next one counts on.
    const next = parseManifest(await vehicle.manifest(START)).reports.get("ECU-brake")!;
    expect(next.counter).toBe(brake.counter + 1);
    // The same directions again change nothing.
    expect((await vehicle.install()).outcome).toBe("committed");
  });

  it("swapped images: an image for the other board is refused, whoever swapped it", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    await vehicle.direct({
      "brake/new.bin": directed(files.brake, "ECU-cluster", "cluster-hw", 2),
      "cluster/new.bin": directed(files.cluster, "ECU-brake", "brake-hw", 2),
    });
    expect(await refusal(vehicle.install())).toBe("wrong-hardware-id");
    await vehicle.direct();
    for (const [path, bytes] of vehicle.images.targets)
      if (bytes === files.brake) vehicle.images.targets.set(path, files.cluster);
    expect(await refusal(vehicle.install())).toBe("arbitrary-software");
    expect(await vehicle.runs()).toBe(OLD);
    const { reports } = parseManifest(await vehicle.manifest(START));
    expect(reports.get("ECU-brake")!.attacks).toContain("arbitrary-software");
  });

  it("stale Director targets: old ones are refused, expired ones too", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    await vehicle.direct();
    await vehicle.verify(START);
    await vehicle.direct({}, { version: 1 });
    expect(await refusal(vehicle.install())).toBe("rollback");
    await vehicle.direct({}, { version: 9 });
    expect(await refusal(vehicle.install({ now: days(31) }))).toBe("freeze");
    expect(await vehicle.runs()).toBe(OLD);
  });

  it("stolen Director key: it makes no new image, and brings no old one back", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    const evil = await image("good-b", { version: "6.6.6" });
    await vehicle.direct({ "brake/new.bin": directed(evil, "ECU-brake", "brake-hw", 2) });
    expect(await refusal(vehicle.install())).toBe("repositories-disagree");
    await vehicle.direct({
      "brake/evil.bin": directed(evil, "ECU-brake", "brake-hw", 2),
      "brake/new.bin": directed(evil, "ECU-x", "x", 2),
    });
    expect(await refusal(vehicle.install())).toBe("unknown-ecu");
    expect(await vehicle.runs()).toBe(OLD);
    await vehicle.direct();
    expect((await vehicle.install()).outcome).toBe("committed");
    await vehicle.director.direct({ "brake/old.bin": directed(older, "ECU-brake", "brake-hw", 1) });
    expect(await refusal(vehicle.install())).toBe("older-release");
    expect(await vehicle.runs()).toBe(NEW);
  });

  it("stolen supplier key: it directs nothing, and reaches no other board's images", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    const evil = await image("good-b", { version: "6.6.6" });
    // Under the path that the Director directs, and under one that is not the supplier's to sign.
    vehicle.list("cluster/new.bin", evil, "cluster-hw", 3, "supplier");
    vehicle.list("brake/evil.bin", evil, "brake-hw", 3, "supplier");
    await vehicle.images.publish();
    expect(await refusal(vehicle.install())).toBe("repositories-disagree");
    await vehicle.director.direct({ "brake/evil.bin": directed(evil, "ECU-brake", "brake-hw", 3) });
    expect(await refusal(vehicle.install())).toBe("repositories-disagree");
    await vehicle.director.direct({ "brake/new.bin": directed(files.brake, "ECU-brake", "brake-hw", 2) });
    expect(await vehicle.install()).toMatchObject({ outcome: "committed", boards: [{ board: "brake" }] });
    expect(await vehicle.runs()).toBe("2.1.0 1.0.0");
  });

  it("one board fails its health check: both go back, and the report says so", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    const result = await vehicle.install({ health: { cluster: [unwell] } });
    expect(result).toMatchObject({
      outcome: "reverted",
      boards: [{ state: "old-image" }, { state: "old-image", failure: expect.stringContaining("pump") }],
    });
    expect(await vehicle.runs()).toBe(OLD);
    const { installation, reports } = parseManifest(await vehicle.manifest(START));
    expect(installation).toMatchObject({
      report: {
        result: { success: false, code: 4 },
        items: [{}, { ecu: "ECU-cluster", result: { code: 4 } }],
      },
    });
    expect(reports.get("ECU-brake")!.installed.path).toBe("unknown");
  });

  it("one board that may stay behind does not stop the other", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    const result = await vehicle.install({ health: { cluster: [unwell] }, mayStayBehind: ["cluster"] });
    expect(result).toMatchObject({
      outcome: "isolated",
      boards: [{ state: "confirmed" }, { state: "old-image", isIsolated: true }],
    });
    expect(await vehicle.runs()).toBe("2.1.0 1.0.0");
  });

  it("one board whose own memory of metadata is newer is refused by itself", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    await vehicle.verify(START);
    // The board has seen newer directions, on another bench that shared its memory.
    await vehicle.direct();
    await vehicle.direct();
    const newer = vehicle.director.files.get("targets.json")!;
    await vehicle.state.store("ECU-cluster", "director").write("targets", newer);
    await vehicle.direct({}, { version: 2 });
    expect(await refusal(vehicle.install())).toBe("rollback");
    expect(await vehicle.install({ mayStayBehind: ["cluster"] })).toMatchObject({
      outcome: "isolated",
      boards: [
        { board: "brake", state: "confirmed" },
        { board: "cluster", isIsolated: true },
      ],
    });
  });

  it.for(["check", "try", "cluster marked", "cluster reset", "look", "commit", "report"])(
    "power cut at %s: repeating the installation finishes it",
    async (moment, owner) => {
      const vehicle = await Vehicle.create(owner);
      const { cluster } = vehicle.boards;
      let isCut = false;
      await vehicle.install({
        at: async (event) => {
          if (words(event) !== moment || isCut) return;
          isCut = true;
          await cluster.powerOff();
        },
      });
      expect(isCut).toBe(true);
      await cluster.powerOn();
      // Each board runs one of the two images, whole.
      expect(await vehicle.runs()).toMatch(/^(1\.0\.0|2\.1\.0)\?? (1\.0\.0|2\.2\.0)\??$/);
      expect((await vehicle.install()).outcome).toBe("committed");
      expect(await vehicle.runs()).toBe(NEW);
    },
  );

  it("expiry forbids to start an installation, never to finish or to report one", async (owner) => {
    const vehicle = await Vehicle.create(owner);
    const kill = async (moment: string) => {
      const host = new Host();
      const run = vehicle.install({
        host,
        at: async (event) => {
          if (words(event) === moment) await host.kill();
        },
      });
      await run.catch(() => undefined);
    };
    const later = days(400);
    await kill("check");
    expect(await refusal(vehicle.install({ now: later }))).toBe("freeze");
    expect(await vehicle.runs()).toBe(OLD);
    await kill("look");
    expect(await vehicle.install({ now: later })).toMatchObject({ outcome: "committed", resumed: true });
    expect(await vehicle.runs()).toBe(NEW);
    expect(parseManifest(await vehicle.manifest(later)).reports.size).toBe(3);
    // What was begun is finished; to start again, the metadata must be fresh.
    expect(await refusal(vehicle.install({ now: later }))).toBe("freeze");
  });
});
