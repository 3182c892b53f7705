import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Tests against servers that nobody here wrote run where their builds are (see test/support/real-servers.ts).
const realServers = process.env.BOOTPROOF_REAL_SERVERS !== undefined;

export default defineConfig({
  // hil names the library as its users do; tests run it on the sources.
  resolve: { alias: { bootproof: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
  test: {
    include: ["test/**/*.test.ts"],
    exclude: realServers ? [] : ["test/**/real-*.test.ts"],
    globalSetup: ["test/support/system-packages.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
