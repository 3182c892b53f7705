import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { libraryAlias } from "../test/support/library-alias.js";

export default defineConfig({
  resolve: { alias: libraryAlias },
  test: {
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: ["hil/*.hil.ts"],
    globalSetup: ["test/support/system-packages.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    // A case takes as long as its board does; the board's own deadlines say when it has hung.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
