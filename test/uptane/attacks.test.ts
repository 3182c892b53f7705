import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BootproofError } from "../../src/errors.js";
import type { JsonObject } from "../../src/tuf/canonical-json.js";
import { type MetadataStore, TufClient } from "../../src/tuf/client.js";
import { TufError } from "../../src/tuf/error.js";
import { trustRoot } from "../../src/tuf/first-trust.js";
import { sha256Hex } from "../../src/tuf/hashes.js";
import { memoryStore } from "../../src/tuf/repository/rehearse.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";
import type { Vehicle } from "../../src/uptane/director.js";
import { parseUptaneMetadata } from "../../src/uptane/reader.js";
import { DIRECTOR_LIMITS, uptaneDialect, verifyInFull, verifyInPart } from "../../src/uptane/verify.js";
import { days, newSigner, START, TestRepository } from "../support/tuf-repository.js";
import { Director } from "../support/uptane-director.js";

const FIRMWARE = new TextEncoder().encode("firmware 1");
const VEHICLE: Vehicle = { id: "VIN-1", ecus: [{ serial: "board-a", hardwareId: "hw-a" }] };

/** A target as a Director lists it. */
function directed(bytes = FIRMWARE, ecu = "board-a", more: JsonObject = {}): JsonObject {
  return {
    length: bytes.length,
    hashes: { sha256: sha256Hex(bytes) },
    custom: { ecuIdentifiers: { [ecu]: { hardwareId: "hw-a" } }, ...more },
  };
}

class Bench {
  now = START;
  readonly director: Director;
  readonly images: TestRepository;
  readonly stores: { director: MetadataStore; images: MetadataStore };

  private constructor(director: Director, images: TestRepository, stores: Bench["stores"]) {
    this.director = director;
    this.images = images;
    this.stores = stores;
  }

  static async create(custom: JsonObject = { hardwareIds: ["hw-a"], releaseCounter: 2 }): Promise<Bench> {
    const [director, images] = [await Director.create(), await TestRepository.create()];
    images.add("fw.bin", FIRMWARE, "targets", custom);
    await images.publish();
    await director.direct({ "fw.bin": directed() });
    const stores = { director: memoryStore(), images: memoryStore() };
    const options = { verify: verifyNatively, parse: parseUptaneMetadata };
    await trustRoot(director.files.get("1.root.json")!, stores.director, options);
    await trustRoot(images.files.get("1.root.json")!, stores.images, options);
    return new Bench(director, images, stores);
  }

  #client(which: "director" | "images", extent: "full" | "partial" = "full"): TufClient {
    return new TufClient({
      fetch: this[which],
      store: this.stores[which],
      now: this.now,
      verify: verifyNatively,
      dialect: uptaneDialect(extent),
      ...(which === "director" && { limits: DIRECTOR_LIMITS }),
    });
  }

  inFull(vehicle = VEHICLE) {
    return verifyInFull({ director: this.#client("director"), images: this.#client("images") }, vehicle);
  }
  inPart(vehicle = VEHICLE) {
    return verifyInPart(this.#client("director", "partial"), vehicle);
  }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => "accepted",
    (caught: unknown) => caught,
  );
  return error instanceof BootproofError ? error.code : String(error);
}

/** The standard's threat list, but for eavesdropping and denial of service, which no check here stops. */
const THREATS: Readonly<Record<string, string>> = {
  "drop request": "not-in-repository",
  "slow retrieval": "slow-retrieval",
  freeze: "freeze",
  "partial bundle": "repositories-disagree",
  "mixed bundle, mix-and-match": "mix-and-match",
  rollback: "rollback",
  "endless data": "endless-data",
  "arbitrary software": "arbitrary-software",
};

it("the help topic names a check and its code for each attack", () => {
  const topic = readFileSync(new URL("../../src/topics/uptane.md", import.meta.url), "utf8");
  for (const [attack, code] of Object.entries(THREATS))
    expect(
      topic.split("\n").find((line) => line.startsWith(`| ${attack} |`)),
      attack,
    ).toContain(`\`${code}\``);
});

describe("what both repositories say", () => {
  it("is taken, with the release counter and the role that vouches for it", async () => {
    const bench = await Bench.create();
    const { assignments, directorRoles } = await bench.inFull();
    expect(directorRoles).toEqual(["root", "targets"]);
    expect(assignments).toMatchObject([
      { target: { path: "fw.bin" }, role: "targets", releaseCounter: 2, isHardwareStated: true },
    ]);
  });

  it("is read of a Director with all four roles in the standard's spelling", async () => {
    const images = (await Bench.create()).images;
    const director = await TestRepository.create();
    director.add("fw.bin", FIRMWARE, "targets", { ecuIdentifiers: { "board-a": { hardwareId: "hw-a" } } });
    await director.publish();
    const client = async (repository: TestRepository) => {
      const store = memoryStore();
      await trustRoot(repository.files.get("1.root.json")!, store, { verify: verifyNatively });
      return new TufClient({
        fetch: repository,
        store,
        now: START,
        verify: verifyNatively,
        dialect: uptaneDialect(),
      });
    };
    const found = await verifyInFull(
      { director: await client(director), images: await client(images) },
      VEHICLE,
    );
    expect(found.directorRoles).toEqual(["root", "timestamp", "snapshot", "targets"]);
    expect(found.assignments).toHaveLength(1);
  });
});

describe("arbitrary software", () => {
  it("directed by a stranger is refused, in full and in part", async () => {
    const bench = await Bench.create();
    await bench.director.direct({ "fw.bin": directed() }, { by: await newSigner() });
    expect(await refusal(bench.inFull())).toBe("arbitrary-software");
    expect(await refusal(bench.inPart())).toBe("arbitrary-software");
  });

  it("directed with the Director's stolen key is refused by full verification only", async () => {
    const bench = await Bench.create();
    await bench.director.direct({ "fw.bin": directed(new TextEncoder().encode("malware 01")) });
    expect(await refusal(bench.inFull())).toBe("repositories-disagree");
    expect(await refusal(bench.inPart())).toBe("accepted");
  });

  it("that the Image repository does not list is refused", async () => {
    const bench = await Bench.create();
    await bench.director.direct({ "other.bin": directed() });
    expect(await refusal(bench.inFull())).toBe("repositories-disagree");
  });

  it("for other hardware is refused, by the Director's word and by the Image repository's", async () => {
    const bench = await Bench.create({ hardwareIds: ["hw-b"] });
    expect(await refusal(bench.inFull())).toBe("wrong-hardware-id");
    const ecus = [{ serial: "board-a", hardwareId: "hw-b" }];
    expect(await refusal(bench.inFull({ ...VEHICLE, ecus }))).toBe("wrong-hardware-id");
  });
});

describe("rollback", () => {
  it("of the Director's targets is refused, in full and in part", async () => {
    const bench = await Bench.create();
    await bench.director.direct({ "fw.bin": directed() });
    await bench.inFull();
    await bench.director.direct({ "fw.bin": directed() }, { version: 1 });
    expect(await refusal(bench.inFull())).toBe("rollback");
    expect(await refusal(bench.inPart())).toBe("rollback");
  });

  it("to a lower release counter than the installed image's is refused; an equal one is not", async () => {
    const bench = await Bench.create();
    const running = (releaseCounter: number) => ({
      ...VEHICLE,
      ecus: [{ serial: "board-a", hardwareId: "hw-a", releaseCounter }],
    });
    expect(await refusal(bench.inFull(running(2)))).toBe("accepted");
    expect(await refusal(bench.inFull(running(3)))).toBe("older-release");
  });

  it("by leaving the release counter out, or stating another at the Director, is refused", async () => {
    const silent = await Bench.create({ hardwareIds: ["hw-a"] });
    const ecus = [{ serial: "board-a", hardwareId: "hw-a", releaseCounter: 1 }];
    expect(await refusal(silent.inFull({ ...VEHICLE, ecus }))).toBe("older-release");
    const bench = await Bench.create();
    await bench.director.direct({ "fw.bin": directed(FIRMWARE, "board-a", { releaseCounter: 9 }) });
    expect(await refusal(bench.inFull())).toBe("repositories-disagree");
  });
});

describe("freeze", () => {
  it("by directions that have expired is refused, in full and in part", async () => {
    const bench = await Bench.create();
    bench.now = days(31);
    expect(await refusal(bench.inFull())).toBe("freeze");
    expect(await refusal(bench.inPart())).toBe("freeze");
  });

  it("by an Image repository whose timestamp has expired is refused", async () => {
    const bench = await Bench.create();
    bench.now = days(8);
    expect(await refusal(bench.inFull())).toBe("freeze");
  });
});

describe("drop request", () => {
  it("of the Director's targets is refused, and what is trusted stays", async () => {
    const bench = await Bench.create();
    await bench.inFull();
    const before = await bench.stores.director.read("targets");
    bench.director.files.delete("targets.json");
    expect(await refusal(bench.inFull())).toBe("not-in-repository");
    expect(await bench.stores.director.read("targets")).toEqual(before);
  });
});

describe("slow retrieval", () => {
  it("ends the update before anything is taken over", async () => {
    const bench = await Bench.create();
    bench.images.metadata = async (name) => {
      throw new TufError("slow-retrieval", name, `${name} comes too slowly.`);
    };
    expect(await refusal(bench.inFull())).toBe("slow-retrieval");
    expect(await bench.stores.images.read("timestamp")).toBeUndefined();
  });
});

describe("mix-and-match, partial and mixed bundles", () => {
  it("images of another time than the directions are refused", async () => {
    const bench = await Bench.create();
    const old = bench.images.snapshot();
    const next = new TextEncoder().encode("firmware 2");
    bench.images.add("fw.bin", next, "targets", { hardwareIds: ["hw-a"], releaseCounter: 3 });
    await bench.images.publish();
    await bench.director.direct({ "fw.bin": directed(next) });
    bench.images.serve(old);
    expect(await refusal(bench.inFull())).toBe("repositories-disagree");
  });

  it("a snapshot of another time than the timestamp is refused", async () => {
    const bench = await Bench.create();
    const before = bench.images.snapshot().metadata;
    await bench.images.renew("targets");
    bench.images.files.set("3.snapshot.json", before.get("2.snapshot.json")!);
    expect(await refusal(bench.inFull())).toBe("mix-and-match");
  });

  it("a bundle without a file of the Image repository is refused", async () => {
    const bench = await Bench.create();
    bench.images.files.delete("2.targets.json");
    expect(await refusal(bench.inFull())).toBe("not-in-repository");
  });
});

describe("endless data", () => {
  it("a fetch is told the Director's limits", async () => {
    const asked: number[] = [];
    const bench = await Bench.create();
    const { metadata } = bench.director;
    bench.director.metadata = async (name: string, maxLength?: number) => {
      asked.push(maxLength!);
      return metadata(name);
    };
    await bench.inPart();
    expect(asked).toEqual([65_536, 65_536]);
  });
});

describe("directions for others", () => {
  it("a Director that delegates is refused", async () => {
    const bench = await Bench.create();
    const other = await newSigner();
    const roles = [{ name: "x", keyids: [other.id], threshold: 1, terminating: true, paths: ["*"] }];
    const more = { delegations: { keys: { [other.id]: other.key }, roles } };
    await bench.director.direct({ "fw.bin": directed() }, { more });
    expect(await refusal(bench.inFull())).toBe("director-delegates");
  });

  it("two images for one ECU, an ECU of another vehicle, and no ECU at all are refused", async () => {
    const bench = await Bench.create();
    await bench.director.direct({ "fw.bin": directed(), "b.bin": directed() });
    expect(await refusal(bench.inFull())).toBe("ecu-twice");
    await bench.director.direct({ "fw.bin": directed(FIRMWARE, "board-z") });
    expect(await refusal(bench.inFull())).toBe("unknown-ecu");
    await bench.director.direct({ "fw.bin": directed(FIRMWARE, "board-a", { ecuIdentifiers: {} }) });
    expect(await refusal(bench.inFull())).toBe("bad-assignment");
  });

  it("an empty list is believed only with this vehicle's id", async () => {
    const bench = await Bench.create();
    await bench.director.direct({});
    expect(await refusal(bench.inFull())).toBe("wrong-vehicle");
    await bench.director.direct({}, { more: { custom: { vehicleId: "VIN-2" } } });
    expect(await refusal(bench.inFull())).toBe("wrong-vehicle");
    await bench.director.direct({}, { more: { custom: { vehicleId: "VIN-1" } } });
    expect((await bench.inFull()).assignments).toEqual([]);
    expect(await refusal(bench.inFull({ ecus: VEHICLE.ecus }))).toBe("wrong-vehicle");
  });
});
