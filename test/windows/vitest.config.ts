import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { libraryAlias } from "../support/library-alias.js";

// `npm run test:windows`: Node for Windows under Wine. Files share one Windows, and the processor, so one after the other.
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  resolve: { alias: libraryAlias },
  test: {
    include: ["test/windows/*.wine.ts"],
    setupFiles: ["test/support/each-file.ts"],
    globalSetup: ["test/support/windows/setup.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: "threads",
    fileParallelism: false,
    isolate: false,
  },
});
