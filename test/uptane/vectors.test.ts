import { describe, expect, it } from "vitest";
import { BootproofError } from "../../src/errors.js";
import { type MetadataStore, TufClient } from "../../src/tuf/client.js";
import { trustRoot } from "../../src/tuf/first-trust.js";
import { memoryStore } from "../../src/tuf/repository/rehearse.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";
import { parseUptaneMetadata } from "../../src/uptane/reader.js";
import {
  DIRECTOR_LIMITS,
  type DirectedImage,
  IMAGE_LIMITS,
  uptaneDialect,
  verifyInFull,
  withDelegationsFolder,
} from "../../src/uptane/verify.js";
import {
  type ExpectedStep,
  expected,
  type RepositoryName,
  uptaneFiles,
  vectorFetch,
} from "../support/uptane-vectors.js";

const NOW = new Date("2026-06-01T00:00:00Z");
const VEHICLE = { ecus: [{ serial: "123456", hardwareId: "test_hw" }] };
const files = uptaneFiles();

/** The generator's error classes -> the codes that say the same here. */
const CODES: Readonly<Record<string, readonly string[]>> = {
  // A rotation that one side has not signed has no wrong id anywhere: it lacks a signature.
  BadKeyId: ["bad-metadata", "arbitrary-software"],
  NonUniqueSignatures: ["bad-metadata"],
  UnmetThreshold: ["arbitrary-software"],
  IllegalThreshold: ["bad-metadata"],
  SecurityException: ["bad-metadata"],
  ExpiredMetadata: ["freeze"],
  RootRotationError: ["rollback"],
  VersionMismatch: ["mix-and-match"],
  DirectorDelegation: ["director-delegates"],
  DirectorRepeatedEcuId: ["ecu-twice"],
  BadHardwareId: ["wrong-hardware-id"],
  TargetMismatch: ["repositories-disagree"],
  MetadataFetchFailure: ["endless-data"],
};

/** Where a more exact code is given than the generator's class. */
const MORE_EXACT: Readonly<Record<string, string>> = {
  delegation_expired: "freeze",
  image_repo_bad_hw_id: "wrong-hardware-id",
};

/** The error that a step must end with; undefined where all of it succeeds. */
function wanted(step: ExpectedStep): string | undefined {
  const outcomes = [step.director, step.image_repo].flatMap(({ update, targets }) => [
    update,
    ...Object.values(targets),
  ]);
  return outcomes.find(({ is_success }) => !is_success)?.err?.split("::")[0];
}

async function client(name: string, step: number, repository: RepositoryName, store: MetadataStore) {
  const fetch = withDelegationsFolder(vectorFetch(files, name, step, repository));
  const limits = repository === "director" ? DIRECTOR_LIMITS : IMAGE_LIMITS;
  // The first step's root is the one that the vehicle left the factory with.
  if (step === 0)
    await trustRoot((await fetch.metadata("1.root.json", 65_536))!, store, {
      verify: verifyNatively,
      parse: parseUptaneMetadata,
    });
  return new TufClient({ fetch, store, now: NOW, verify: verifyNatively, limits, dialect: uptaneDialect() });
}

async function play(name: string, step: number, stores: Record<RepositoryName, MetadataStore>) {
  const director = await client(name, step, "director", stores.director);
  const images = await client(name, step, "image_repo", stores.image_repo);
  return verifyInFull({ director, images }, VEHICLE);
}

async function codeOf(run: Promise<unknown>): Promise<string> {
  const error = await run.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return error instanceof BootproofError ? error.code : `no error of ours: ${error}`;
}

describe("the public Uptane vectors", () => {
  it("are all here: 62 names, 74 steps", () => {
    const names = new Set([...files.keys()].map((path) => path.split("/")[0]!).filter((name) => name !== ""));
    expect([...names].sort()).toEqual(Object.keys(expected).sort());
    const steps = Object.values(expected).flat();
    expect({ names: names.size, steps: steps.length }).toEqual({ names: 62, steps: 74 });
  });

  it.each(Object.keys(expected))("%s", async (name) => {
    const stores = { director: memoryStore(), image_repo: memoryStore() };
    for (const [step, outcome] of expected[name]!.entries()) {
      const error = wanted(outcome);
      const run = play(name, step, stores);
      if (error === undefined) {
        const directed: readonly DirectedImage[] = (await run).assignments;
        expect(directed.map(({ target }) => target.path)).toEqual(Object.keys(outcome.director.targets));
        // The image itself is the one that both name.
        const fetch = vectorFetch(files, name, step, "image_repo");
        for (const { target } of directed)
          expect(await fetch.target(target.path, target.length)).toBeDefined();
      } else {
        const code = await codeOf(run);
        expect(MORE_EXACT[name] === undefined ? CODES[error] : [MORE_EXACT[name]], code).toContain(code);
      }
    }
  });
});
