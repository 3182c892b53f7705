import { readFileSync } from "node:fs";
import { subject } from "./subject.js";

/** A process of its own: uploads a file to the boards behind some TCP ports at once, and prints what that took. */

const [file, ...ports] = process.argv.slice(2) as [string, ...string[]];
const image = new Uint8Array(readFileSync(file));
const tasks = ports.map((port) => ({
  name: port,
  async *start(signal: AbortSignal) {
    const address = { kind: "tcp", host: "127.0.0.1", port: Number(port) } as const;
    const session = await subject.Session.open(async (how) =>
      subject.connect(await subject.openStream(address, { signal: how }), { signal: how }),
    );
    try {
      const { elapsedMs } = yield* subject.upload(session, image, { signal });
      return elapsedMs;
    } finally {
      await session.close();
    }
  },
}));
const endings = [];
for await (const event of subject.driveBoards(tasks)) {
  if (event.kind === "failed") throw event.error;
  if (event.kind === "done") endings.push(event.result);
}
const { user, system } = process.cpuUsage();
// The highest of the run. Asked after each event it would be a seventh of what is measured.
const rss = process.resourceUsage().maxRSS * 1024;
console.log(
  JSON.stringify({
    goodput: endings.reduce((sum, elapsedMs) => sum + (image.length * 1000) / elapsedMs, 0),
    cpuMs: (user + system) / 1000,
    rss,
  }),
);
