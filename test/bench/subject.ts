const load = (path: string) => import(new URL(`dist/${path}.js`, process.env.BOOTPROOF_ROOT).href);

/** What is measured: the library as it is shipped, so that the bench pays for nothing that a user does not pay for. */
export const subject = {
  ...((await load("index")) as typeof import("../../src/index.js")),
  ...((await load("entries/boards")) as typeof import("../../src/entries/boards.js")),
  ...((await load("entries/smp")) as typeof import("../../src/entries/smp.js")),
};
