/** What is measured: the library as it is shipped, so that the bench pays for nothing that a user does not pay for. */
export const subject = (await import(
  new URL("dist/index.js", process.env.BOOTPROOF_ROOT).href
)) as typeof import("../../src/index.js");
