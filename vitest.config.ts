import { defineConfig } from "vitest/config";
import { fetchedRealServers } from "./test/support/fetch-real-servers.js";
import { HeaviestFirst } from "./test/support/heaviest-first.js";
import { libraryAlias } from "./test/support/library-alias.js";

// Tests against servers that nobody here wrote run where those are: always in CI (test/support/fetch-real-servers.ts).
const { BOOTPROOF_REAL_SERVERS: named, CI } = process.env;
const hasRealServers = (named ?? CI ?? fetchedRealServers()) !== undefined;

export default defineConfig({
  // hil names the library as its users do; tests run it on the sources.
  resolve: { alias: libraryAlias },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: hasRealServers ? [] : ["test/**/real-*.test.ts"],
    setupFiles: ["test/support/curves.ts"],
    globalSetup: ["test/support/system-packages.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    sequence: { sequencer: HeaviestFirst },
    maxWorkers: 4,
  },
});
