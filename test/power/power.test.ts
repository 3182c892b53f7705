import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { commandSwitch, runProgram } from "../../src/power/command.js";
import { httpSwitch } from "../../src/power/http.js";
import { hubSwitch } from "../../src/power/hub.js";
import { PowerError, type PowerSwitch, readPower } from "../../src/power/power.js";
import { powerSwitch } from "../../src/power/switch.js";
import { type LivenessProbe, type ProofEvent, provePower } from "../../src/power/verify-switch.js";
import { run } from "../../src/session/run.js";
import { UsbTree } from "../support/usb-tree.js";

describe("a switch in the config file", () => {
  test.each([
    ["hub", { kind: "hub" }],
    [{ hub: "1-1.4" }, { kind: "hub", usbPort: "1-1.4" }],
    [{ command: { on: "up", off: "down" } }, { kind: "command", on: "up", off: "down" }],
    [
      { http: { on: "http://r/on", off: { url: "http://r/", method: "POST", body: "off" } } },
      { kind: "http", on: { url: "http://r/on" }, off: { url: "http://r/", method: "POST", body: "off" } },
    ],
  ])("%j", (value, expected) => {
    expect(readPower(value, "power")).toEqual(expected);
  });

  test.each([
    [undefined],
    ["relay"],
    [{ hub: "usb1" }],
    [{ command: { on: "up" } }],
    [{ http: { on: "ftp://x", off: "http://x" } }],
    [{ http: { on: "http://x", off: { url: "http://x", verb: "POST" } } }],
    [{ command: { on: "a", off: "b" }, hub: "1-1" }],
  ])("is refused: %j", (value) => {
    expect(() => readPower(value, "boards.x.power")).toThrow(PowerError);
  });
});

const folder = () => {
  const home = mkdtempSync(join(tmpdir(), "power-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
};

describe("by commands", () => {
  test("each is run by the shell, to its end", async () => {
    const file = join(folder(), "state");
    const relay = commandSwitch({ on: `echo on > ${file}`, off: `echo off > ${file}` });
    await relay.off();
    expect(readFileSync(file, "utf8")).toBe("off\n");
    await relay.on();
    expect(readFileSync(file, "utf8")).toBe("on\n");
  });

  test("one that fails says what it said", async () => {
    const relay = commandSwitch({ on: "echo no such relay >&2; exit 3", off: "true" });
    await expect(relay.on()).rejects.toMatchObject({
      code: "switch-failed",
      message: expect.stringMatching(/ended with 3\. Its output: no such relay/),
    });
  });

  test("one that starts a program and leaves it running is at its end", async () => {
    const pid = join(folder(), "pid");
    await commandSwitch({ on: `sleep 600 & echo $! > ${pid}`, off: "true" }).on();
    process.kill(Number(readFileSync(pid, "utf8")), "SIGKILL");
  });

  test("an interrupted one is ended, with all that it started", async () => {
    const pid = join(folder(), "pid");
    const stop = new AbortController();
    const reason = new Error("stop");
    const running = commandSwitch({ on: `sleep 600 & echo $! > ${pid}; wait`, off: "true" }).on(stop.signal);
    const started = async (): Promise<number> => {
      for (;;) {
        const text = await import("node:fs/promises").then((fs) => fs.readFile(pid, "utf8").catch(() => ""));
        if (text.endsWith("\n")) return Number(text);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const child = await started();
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
    const isGone = () => {
      try {
        // A killed child of an ended shell stays as a zombie until somebody reaps it.
        return readFileSync(`/proc/${child}/stat`, "utf8").split(" ")[2] === "Z";
      } catch {
        return true;
      }
    };
    while (!isGone()) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("by a relay with a web interface", () => {
  async function relay(answer: (request: IncomingMessage, body: string) => number) {
    const heard: string[] = [];
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        heard.push(`${request.method} ${request.url} ${body}`.trim());
        response.writeHead(answer(request, body));
        response.end("the relay speaks");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    return { heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  test("it is called as the config file says", async () => {
    const { heard, url } = await relay(() => 200);
    const power = httpSwitch({
      on: { url: `${url}/on` },
      off: { url: `${url}/off`, method: "POST", body: "now" },
    });
    await power.off();
    await power.on();
    expect(heard).toEqual(["POST /off now", "GET /on"]);
  });

  test("its refusal is told in its words", async () => {
    const { url } = await relay(() => 403);
    const power = httpSwitch({ on: { url }, off: { url } });
    await expect(power.off()).rejects.toThrow(/answered 403 Forbidden\. It said: the relay speaks/);
  });

  test("one that is not there is named", async () => {
    const power = httpSwitch({
      on: { url: "http://127.0.0.1:9/on" },
      off: { url: "http://127.0.0.1:9/off" },
    });
    await expect(power.off()).rejects.toMatchObject({
      code: "switch-failed",
      message: expect.stringContaining("127.0.0.1:9"),
    });
  });
});

describe("by the port of a hub", () => {
  function hub(usbPorts: { port: string; peer?: string }[]) {
    const tree = new UsbTree();
    onTestFinished(() => tree.remove());
    const folderOf = (usbPort: string) => {
      const cut = Math.max(usbPort.lastIndexOf("."), usbPort.lastIndexOf("-"));
      const root = !usbPort.includes(".");
      const bus = usbPort.split("-")[0];
      const name = root ? `usb${bus}` : usbPort.slice(0, cut);
      const configuration = root ? `${bus}-0:1.0` : `${name}:1.0`;
      return `sys/bus/usb/devices/${configuration}/${name}-port${usbPort.slice(cut + 1)}`;
    };
    for (const { port } of usbPorts) tree.file(`${folderOf(port)}/disable`, "0\n");
    for (const { port, peer } of usbPorts) {
      if (peer === undefined) continue;
      mkdirSync(dirname(join(tree.home, folderOf(port))), { recursive: true });
      symlinkSync(join(tree.home, folderOf(peer)), join(tree.home, folderOf(port), "peer"));
    }
    return {
      tree,
      read: (usbPort: string) => readFileSync(join(tree.home, folderOf(usbPort), "disable"), "utf8"),
    };
  }

  test("the kernel's switch is used, in both halves of a USB 3 socket", async () => {
    const { tree, read } = hub([
      { port: "1-1.4", peer: "2-1.4" },
      { port: "2-1.4", peer: "1-1.4" },
      { port: "1-1.3" },
    ]);
    const power = hubSwitch("1-1.4", { roots: tree.roots });
    expect(power.name).toBe("port 4 of hub 1-1");
    await power.off();
    expect([read("1-1.4"), read("2-1.4"), read("1-1.3")].map((text) => text[0])).toEqual(["1", "1", "0"]);
    await power.on();
    expect([read("1-1.4"), read("2-1.4")].map((text) => text[0])).toEqual(["0", "0"]);
  });

  test("a port of a root hub has another folder", async () => {
    const { tree, read } = hub([{ port: "3-2" }]);
    await hubSwitch("3-2", { roots: tree.roots }).off();
    expect(read("3-2")[0]).toBe("1");
  });

  test("what hangs on the same hub is named before it loses power too", () => {
    const { tree } = hub([{ port: "1-1.4" }]);
    for (const port of ["1-1.4", "1-1.2", "1-1.2.1", "1-2"])
      tree.plug(port, { vendorId: "2fe3", productId: "0004" });
    const words = hubSwitch("1-1.4", { roots: tree.roots }).describe("off");
    expect(words).toMatch(/these lose power too: 1-1\.2\.$/);
  });

  test("without the kernel's switch uhubctl is asked, for this hub alone", async () => {
    const { tree } = hub([]);
    const calls: string[] = [];
    const power = hubSwitch("1-1.4", {
      roots: tree.roots,
      run: async (program, args) => {
        calls.push(`${program} ${args.join(" ")}`);
        return { status: 0, said: "" };
      },
    });
    await power.off();
    await power.on();
    expect(calls).toEqual(["uhubctl -l 1-1 -p 4 -a off -r 1", "uhubctl -l 1-1 -p 4 -a on -r 1"]);
  });

  test("with neither it says what would be needed", async () => {
    const { tree } = hub([]);
    const power = hubSwitch("1-1", {
      roots: tree.roots,
      run: async () => {
        throw new PowerError("switch-failed", "not installed");
      },
    });
    await expect(power.off()).rejects.toMatchObject({
      code: "no-switch",
      hint: expect.stringContaining("uhubctl"),
    });
  });

  /** Composed after USB 2.0, table 11-13, and USB 3.2, 10.15.2.1; the tests in the USB machine ask hubs that others made. */
  const GANGED = "0929040000326400ff";
  const PER_PORT_SUPERSPEED = "0c2a04090032000400000000";
  const NONE = "0a29080a000100000000ffff";

  test.each([
    ["each port", PER_PORT_SUPERSPEED, "1"],
    ["nothing that it tells", undefined, "1"],
    ["nothing that is a hub's", "1201000200000040", "1"],
  ])("a hub that switches %s is asked to", async (_, hex, disabled) => {
    const { tree, read } = hub([{ port: "1-1.4" }]);
    const ask = async () => (hex === undefined ? undefined : Buffer.from(hex, "hex"));
    await hubSwitch("1-1.4", { roots: tree.roots, ask }).off();
    expect(read("1-1.4")[0]).toBe(disabled);
  });

  test.each([
    ["none", NONE, /cannot switch/],
    ["all together", GANGED, /switches its 4 ports together/],
  ])("a hub that switches %s is left alone: Linux would only hide the board", async (_, hex, message) => {
    const { tree, read } = hub([{ port: "1-1.4" }]);
    const power = hubSwitch("1-1.4", { roots: tree.roots, ask: async () => Buffer.from(hex, "hex") });
    await expect(power.off()).rejects.toMatchObject({
      code: "no-switch",
      message: expect.stringMatching(message),
    });
    expect(read("1-1.4")[0]).toBe("0");
  });

  test("the port is the one the board is plugged into unless another is named", () => {
    const { tree } = hub([{ port: "1-1.4" }]);
    expect(powerSwitch({ kind: "hub" }, "1-1.4", { roots: tree.roots }).name).toBe("port 4 of hub 1-1");
    expect(() => powerSwitch({ kind: "hub" }, undefined, { roots: tree.roots })).toThrow(
      /USB port that powers the board is not known/,
    );
  });
});

describe("the proof", () => {
  const quick = { goneWithinMs: 300, backWithinMs: 300, stayAwayMs: 50 };

  /** A board that obeys its switch as told. */
  function bench(obeys: { off?: boolean; on?: boolean; returns?: boolean } = {}) {
    const { off = true, on = true, returns = false } = obeys;
    const state = { powered: true, boots: 1 };
    let looksWhileOff = 0;
    const power: PowerSwitch = {
      name: "a switch",
      describe: (action) => action,
      off: async () => {
        state.powered = !off;
      },
      on: async () => {
        if (on && !state.powered) state.boots++;
        state.powered = on || state.powered;
      },
    };
    const vitals: LivenessProbe = {
      what: "the board",
      sample: async () => {
        if (!state.powered && returns && ++looksWhileOff > 1) state.powered = true;
        return state.powered ? `boot ${state.boots}` : undefined;
      },
    };
    return { state, power, vitals };
  }

  test("a board that goes away and comes back anew proves the switch", async () => {
    const { power, vitals } = bench();
    const events: ProofEvent[] = [];
    const proof = await run(provePower(power, vitals, quick), (event) => events.push(event));
    expect(proof.restarted).toBe(true);
    expect(events.map(({ step }) => step)).toEqual(["alive", "off", "gone", "on", "back"]);
  });

  test("a hub that leaves the power on is found out, and told to switch on again", async () => {
    const { power, vitals } = bench({ off: false });
    await expect(run(provePower(power, vitals, quick))).rejects.toMatchObject({ code: "still-powered" });
  });

  test("power that comes back by itself is found out", async () => {
    const { power, vitals } = bench({ returns: true });
    await expect(run(provePower(power, vitals, quick))).rejects.toThrow(
      /came back although the power is off/,
    );
  });

  test("a board that stays away is told", async () => {
    const { power, vitals } = bench({ on: false });
    await expect(run(provePower(power, vitals, quick))).rejects.toMatchObject({ code: "not-back" });
  });

  test("a board that was not there proves nothing, and is not switched", async () => {
    const { power, vitals, state } = bench();
    state.powered = false;
    await expect(run(provePower(power, vitals, quick))).rejects.toThrow(/nothing can be proven/);
    expect(state.boots).toBe(1);
  });

  test("a board that was only hidden from USB is found out by its own count of starts", async () => {
    const { power, vitals } = bench();
    const hidden: LivenessProbe = { ...vitals, boots: async () => 7 };
    await expect(run(provePower(power, hidden, quick))).rejects.toMatchObject({
      code: "still-powered",
      message: expect.stringContaining("kept its power: it still counts 7 starts"),
    });
  });

  test.each([
    ["a board that had restarted and counts from one again began anew", 4, true],
    ["a board that counts one start as before may have begun anew or not", 1, false],
  ])("%s", async (_, startsBefore, restarted) => {
    const { power, vitals, state } = bench();
    const plain: LivenessProbe = {
      what: "its USB device",
      sample: async (how) => (await vitals.sample(how)) && "plugged in",
      boots: async () => (state.boots === 1 ? startsBefore : 1),
    };
    expect(await run(provePower(power, plain, quick))).toMatchObject({ restarted });
  });

  test("an interrupted proof gives the power back", async () => {
    const { power, state } = bench();
    const stop = new AbortController();
    const vitals: LivenessProbe = {
      what: "the board",
      sample: async () => {
        if (!state.powered) stop.abort(new Error("stop"));
        stop.signal.throwIfAborted();
        return "here";
      },
    };
    await expect(run(provePower(power, vitals, { ...quick, signal: stop.signal }))).rejects.toThrow("stop");
    expect(state.powered).toBe(true);
  });
});

test("a program that cannot even be tried is told as that", async () => {
  await expect(runProgram("a\0b", [])).rejects.toMatchObject({
    code: "switch-failed",
    message: expect.stringContaining("cannot be started"),
  });
});
