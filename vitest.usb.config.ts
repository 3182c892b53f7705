import { defineConfig } from "vitest/config";
import { libraryAlias } from "./test/support/library-alias.js";
import { MANY_STEPS_MS } from "./test/support/limits.js";

// Tests on real USB drivers, in a virtual machine of their own: minutes of an emulated processor, so not part of `npm test`.
export default defineConfig({
  // As in vitest.config.ts: one copy of the library, the sources.
  resolve: { alias: libraryAlias },
  test: {
    include: ["test/usb/**/*.vm.ts"],
    setupFiles: ["test/support/each-file.ts"],
    globalSetup: ["test/support/usb-vm/setup.ts"],
    reporters: ["default", "./test/support/reporter.ts"],
    // Each order to the machine has its own limit.
    testTimeout: MANY_STEPS_MS,
    hookTimeout: MANY_STEPS_MS,
    // One machine for all files, which therefore run in one process, one after the other: to start it takes longer than
    // most of them, and two would share the processor.
    fileParallelism: false,
    isolate: false,
  },
});
