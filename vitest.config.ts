import { defineConfig } from "vitest/config";
import { fetchedRealServers } from "./test/support/fetch-real-servers.js";
import { HeaviestFirst } from "./test/support/heaviest-first.js";
import { libraryAlias } from "./test/support/library-alias.js";

// Tests against servers that nobody here wrote run where those are: always in CI (test/support/fetch-real-servers.ts).
const { BOOTPROOF_REAL_SERVERS: named, CI } = process.env;
const hasRealServers = (named ?? CI ?? fetchedRealServers()) !== undefined;

/** Rooms whose tests leave their process as they found it. */
const TOGETHER = [
  "avb",
  "boards",
  "bytes.test.ts",
  "crypto",
  "devices",
  "dfu",
  "dfu-transfer",
  "diagnosis",
  "file-transfer",
  "formats",
  "mcuboot",
  "mender",
  "power",
  "profiles",
  "rename-over.test.ts",
  "session",
  "signers",
  "smp",
  "sources",
  "st-rom",
  "station",
  "transport",
  "trust",
  "trust-store",
  "tuf",
  "update",
  "uptane",
  "vehicle",
].map((room) => (room.endsWith(".ts") ? `test/${room}` : `test/${room}/**/*.test.ts`));
/** Of these, what chooses another provider of curves. */
const ALONE = ["test/trust-store/audit-log.test.ts", "test/tuf/signatures.test.ts"];
const without = hasRealServers ? [] : ["test/**/real-*.test.ts"];
const shared = {
  setupFiles: ["test/support/each-file.ts"],
  testTimeout: 300_000,
  hookTimeout: 300_000,
  // What a test makes is soon garbage: with the small space for the young that Node has by default, much of it is copied first.
  execArgv: ["--max-semi-space-size=32"],
};

export default defineConfig({
  // hil names the library as its users do; tests run it on the sources.
  resolve: { alias: libraryAlias },
  test: {
    globalSetup: ["test/support/system-packages.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    sequence: { sequencer: HeaviestFirst },
    maxWorkers: 4,
    projects: [
      {
        extends: true,
        // A process loads what it tests once, not once for each file.
        test: {
          ...shared,
          name: "together",
          include: TOGETHER,
          exclude: [...without, ...ALONE],
          isolate: false,
        },
      },
      { extends: true, test: { ...shared, name: "alone", include: ALONE } },
      {
        extends: true,
        test: { ...shared, name: "each", include: ["test/**/*.test.ts"], exclude: [...without, ...TOGETHER] },
      },
    ],
  },
});
