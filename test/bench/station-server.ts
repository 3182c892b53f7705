import { createInterface } from "node:readline";
import { Access } from "../../src/cli/station/server/access.js";
import { listen } from "../../src/cli/station/server/listen.js";
import { stationApp } from "../../src/cli/station/server/routes.js";
import type { Job } from "../../src/station/job.js";
import { Station } from "../../src/station/station.js";
import type { JobControl } from "../../src/station/station-work.js";

/** A process of its own: a station whose boards are uploads that never end. Each line on stdin is answered with its cost. */

/** 1024 bytes at 115200 baud, milliseconds. */
const EVERY_MS = 89;
const TOTAL = 512 * 1024;

let told = 0;
/** What an upload tells; its own work is measured elsewhere. */
const upload = (_job: Job, _board: unknown, { signal, tell }: JobControl) =>
  new Promise<never>((_, reject) => {
    let done = 0;
    const timer = setInterval(() => {
      done = (done + 1024) % TOTAL;
      told++;
      tell({ step: "uploading", progress: { done, total: TOTAL } });
    }, EVERY_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      reject(signal.reason);
    });
  });

const count = Number(process.argv[2]);
const boards = Array.from({ length: count }, (_, index) => ({
  name: `board-${index + 1}`,
  tags: [index % 2 ? "left" : "right"],
  where: `serial:/dev/serial/by-path/pci-0000:00:14.0-usb-0:${index + 1}:1.0`,
}));
const work = { run: upload, runGroup: () => Promise.reject(new Error("none here")), note() {} };
const station = new Station(work, boards, { records: [], waiting: [], underWay: [] });
const access = new Access({ isTls: false, listen: "127.0.0.1", hostNames: [], isReadOnly: false });
const { app } = stationApp({
  station,
  files: { evidence: () => undefined } as never,
  updates: { list: () => [], find: () => undefined } as never,
  access,
  title: "bench",
  version: "0",
});
app.get("/empty", (c) => c.html("<!doctype html><title>empty</title><p>Nothing is here.</p>"));
const { port } = await listen(app, { host: "127.0.0.1", port: 0 });
access.port = port;
const update = { name: "release.bin", sha256: "00".repeat(32), version: "2.0.0" };
station.submit({ kind: "flash", boards: boards.map(({ name }) => name), update, label: "SN-1" });
console.log(JSON.stringify({ url: `http://127.0.0.1:${port}/` }));
for await (const _line of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ cpuMs: (user + system) / 1000, atMs: performance.now(), told }));
}
process.exit(0);
