import { defineConfig } from "vitest/config";

// Tests against servers that nobody here wrote run where their builds are (see test/support/real-servers.ts).
const realServers = process.env["BOOTPROOF_REAL_SERVERS"] !== undefined;

export default defineConfig({
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
