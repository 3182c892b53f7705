import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { libraryAlias } from "../support/library-alias.js";

// What Node for Windows itself runs (rooms.wine.ts): tests of this repository, as they are.
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  resolve: { alias: libraryAlias },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/support/each-file.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // A process or a sandbox for each file takes longer than its tests.
    pool: "threads",
    maxWorkers: 2,
    isolate: false,
  },
});
