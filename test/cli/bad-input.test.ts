import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, root } from "../support/cli-build.js";
import {
  bootproof,
  type Ended,
  keyFile,
  type RunOptions,
  signedUpdate,
  signWords,
  start,
  tempFolder,
} from "../support/cli-run.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";

beforeAll(ensureBuilt);

/** One clear sentence with the next step on stderr, nothing on stdout, its own status, and no word of our own insides. */
function expectComplaint(
  { status, stdout, stderr }: Ended,
  expected: { status: number; message: RegExp; tries?: RegExp },
) {
  expect(stderr).toMatch(expected.message);
  expect(status, stderr).toBe(expected.status);
  expect(stdout).toBe("");
  const complaint = stderr.slice(stderr.indexOf("bootproof: "));
  expect(complaint).toMatch(/^bootproof: \S.*[.?!)]\n {2}try: \S.*/);
  if (expected.tries) expect(complaint).toMatch(expected.tries);
  expect(stderr).not.toMatch(/\n {4}at |node:internal|dist\/|undefined|\[object/);
}

interface Case {
  words: (folder: string) => string[] | Promise<string[]>;
  status: number;
  message: RegExp;
  tries?: RegExp;
  options?: (folder: string) => RunOptions;
}

const GOOD = ["-d", "wasm:good"];

const CASES: Record<string, Case> = {
  "a port that is not there": {
    words: () => ["info", "-d", "serial:/dev/ttyNONE7"],
    status: 10,
    message: /There is no \/dev\/ttyNONE7\./,
    tries: /plugged in/,
  },
  "a host where nobody listens": {
    words: () => ["info", "-d", "tcp:127.0.0.1:1"],
    status: 14,
    message: /nothing listens there/,
  },
  "a host that is not there": {
    words: () => ["info", "-d", "tcp:no-such-host.invalid:5000"],
    status: 10,
    message: /no such host/,
  },
  "an emulated board that is not there": {
    words: () => ["info", "-d", "wasm:nope"],
    status: 10,
    message: /no emulated board "nope"/,
    tries: /good, overwrite/,
  },
  "an address of no kind": {
    words: () => ["info", "-d", "pigeon:1"],
    status: 2,
    message: /"pigeon:1" is not an address/,
  },
  "a baud rate that is none": {
    words: () => ["info", "-d", "serial:/dev/ttyS0?baud=fast"],
    status: 2,
    message: /baud "fast" is not a number/,
    tries: /./,
  },
  "a board name that nobody gave": {
    words: () => ["info", "-d", "bench-9"],
    status: 2,
    message: /"bench-9" is not an address, a board/,
  },
  "an image file that is not there": {
    words: () => ["flash", "no-such.bin", ...GOOD],
    status: 20,
    message: /There is no file no-such\.bin/,
  },
  "an image file that is a folder": {
    words: (folder) => ["flash", folder, ...GOOD],
    status: 22,
    message: /is a folder, but not of a Zephyr build/,
  },
  "a file that is not an image": {
    words: () => ["flash", "package.json", ...GOOD],
    status: 21,
    message: /package\.json: Not an image but a JSON file/,
    tries: /the image itself/,
  },
  "an empty file": {
    words: (folder) => {
      writeFileSync(join(folder, "empty.bin"), "");
      return ["image", "upload", join(folder, "empty.bin"), ...GOOD];
    },
    status: 21,
    message: /empty\.bin: /,
  },
  "a truncated image": {
    words: async (folder) => {
      const { image } = await signedUpdate();
      truncateSync(image, 20_000);
      copyFileSync(image, join(folder, "cut.bin"));
      return ["flash", join(folder, "cut.bin"), ...GOOD];
    },
    status: 22,
    message: /cut\.bin: Truncated: the header states/,
    tries: /copied or downloaded completely/,
  },
  "an image to look at that is cut": {
    words: async (folder) => {
      const { image } = await signedUpdate();
      truncateSync(image, 20_000);
      copyFileSync(image, join(folder, "cut.bin"));
      return ["image", "test", join(folder, "cut.bin"), ...GOOD];
    },
    status: 22,
    message: /cut\.bin: Truncated/,
  },
  "a key file that is none": {
    words: async () => ["flash", (await signedUpdate()).image, ...GOOD, "--key", "package.json"],
    status: 24,
    message: /package\.json: Not a key file/,
    tries: /PEM or DER/,
  },
  "a key file that is not there": {
    words: async () => ["flash", (await signedUpdate()).image, ...GOOD, "--key", "nokey.pem"],
    status: 20,
    message: /no file nokey\.pem/,
  },
  "a public key to sign with": {
    words: async (folder) => {
      const { publicKey } = await signedUpdate();
      return [...signWords("good-b", join(folder, "x.bin")), "-k", publicKey];
    },
    status: 24,
    message: /only the public part/,
  },
  "an encrypted key and nobody to ask": {
    words: async (folder) => [
      ...signWords("good-b", join(folder, "x.bin")),
      "-k",
      await encryptedKey(folder),
    ],
    status: 2,
    message: /no terminal to ask for its passphrase/,
    tries: /BOOTPROOF_PASSPHRASE/,
  },
  "a wrong passphrase": {
    words: async (folder) => [
      ...signWords("good-b", join(folder, "x.bin")),
      "-k",
      await encryptedKey(folder),
    ],
    options: () => ({ env: { BOOTPROOF_PASSPHRASE: "wrong" } }),
    status: 24,
    message: /secret\.pem: /,
  },
  "an output file that exists": {
    words: (folder) => {
      writeFileSync(join(folder, "x.bin"), "mine");
      return signWords("good-b", join(folder, "x.bin"));
    },
    status: 20,
    message: /exists and was not changed/,
    tries: /--force/,
  },
  "a key that exists, which is never replaced by accident": {
    words: (folder) => {
      writeFileSync(join(folder, "x.pem"), "mine");
      return ["keys", "generate", join(folder, "x.pem")];
    },
    status: 20,
    message: /exists and was not changed/,
  },
  "an output folder that is not there": {
    words: (folder) => signWords("good-b", join(folder, "not-there", "x.bin")),
    status: 20,
    message: /Cannot write/,
  },
  "a version that is none": {
    words: (folder) => signWords("good-b", join(folder, "x.bin"), "v1.2"),
    status: 2,
    message: /v1\.2/,
  },
  "a body that is larger than the slot": {
    words: (folder) => [...signWords("good-b", join(folder, "x.bin")), "-S", "0x8000"],
    status: 23,
    message: /bytes/,
  },
  "a check that the preflight does not have": {
    words: async () => ["flash", (await signedUpdate()).image, ...GOOD, "--skip", "luck"],
    status: 2,
    message: /no check "luck"/,
    tries: /signature/,
  },
  "a config file that is not JSON": configCase("{device:", /not JSON/),
  "a config file with a field that is none": configCase('{"devise": "x"}', /unknown field "devise"/),
  "a config file with keys of a wrong kind": configCase('{"keys": "a.pem"}', /"keys" is not a list/),
  "a config file with a power switch that is none": configCase(
    '{"boards": {"b": {"device": "x", "power": {"htp": {}}}}}',
    /\.bootproof\.json: boards\.b\.power is not a switch/,
  ),
  "a config file with a profile that is none": configCase(
    '{"profiles": [{"id": "x", "slot": []}]}',
    /\.bootproof\.json: profile field profiles\[0\]\.slot/,
  ),
  "a config file with a key that is not there": {
    ...configCase('{"keys": ["gone.pem"]}', /no file .*gone\.pem/),
    // A folder's config file names keys only once its content was allowed.
    words: async (folder) => {
      const { image } = await signedUpdate();
      writeFileSync(join(folder, ".bootproof.json"), '{"keys": ["gone.pem"]}');
      expect((await bootproof(["allow"], { cwd: folder })).status).toBe(0);
      return ["flash", image, ...GOOD];
    },
    status: 20,
  },
  "a flash file of another board": {
    words: async (folder) => {
      await bootproof(["info", "-d", `wasm:good?flash=${join(folder, "f.bin")}`]);
      return ["info", "-d", `wasm:overwrite?flash=${join(folder, "f.bin")}`];
    },
    status: 20,
    message: /belongs to wasm-good, not to wasm-overwrite/,
  },
  "a flash file that is none": {
    words: () => ["info", "-d", "wasm:good?flash=package.json"],
    status: 20,
    message: /package\.json/,
    tries: /./,
  },
};

function configCase(text: string, message: RegExp): Case {
  return {
    words: (folder) => {
      writeFileSync(join(folder, ".bootproof.json"), text);
      return ["info", ...GOOD];
    },
    options: (folder) => {
      writeFileSync(join(folder, ".bootproof.json"), text);
      return { cwd: folder };
    },
    status: 2,
    message,
  };
}

async function encryptedKey(folder: string): Promise<string> {
  const file = join(folder, "secret.pem");
  await bootproof(["keys", "generate", "-e", file], { env: { BOOTPROOF_PASSPHRASE: "correct horse" } });
  return file;
}

describe("bad input is one clear sentence with the next step", () => {
  it.each(Object.entries(CASES))("%s", async (_what, { words, status, message, tries, options }) => {
    const folder = tempFolder();
    const ended = await bootproof(await words(folder), options?.(folder));
    expectComplaint(ended, { status, message, ...(tries && { tries }) });
  });

  it("what was there before is left as it is", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "x.bin"), "mine");
    await bootproof(signWords("good-b", join(folder, "x.bin")));
    expect(readFileSync(join(folder, "x.bin"), "utf8")).toBe("mine");
    await bootproof(signWords("good-b", join(folder, "y", "x.bin")));
    expect(existsSync(join(folder, "y"))).toBe(false);
  });

  it.each([
    ["no command at all", [], /Usage: bootproof/],
    ["a command that is none", ["flsh"], /Did you mean flash\?/],
    ["an option that is none", ["info", "--jsn"], /Did you mean --json\?/],
    ["a file that was not named", ["flash"], /missing required argument 'update'/],
    [
      "a number that is none",
      ["info", ...GOOD, "--timeout", "soon"],
      /--timeout "soon" is not a whole number/,
    ],
  ])("%s: the command line is wrong", async (_what, words, message) => {
    const { status, stdout, stderr } = await bootproof(words);
    expect(stderr).toMatch(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).not.toMatch(/\n {4}at /);
  });
});

describe("the preflight refuses, with status 3", () => {
  const refusals: [string, (folder: string) => Promise<string[]>, RegExp][] = [
    ["no key to check with", async () => [(await signedUpdate()).image], /--key FILE/],
    [
      "the wrong key",
      async (folder) => {
        const key = join(folder, "other.pem");
        await bootproof(["keys", "public", keyFile("foreign-ed25519"), key]);
        return [(await signedUpdate()).image, "--key", key];
      },
      /FAIL {2}signature/,
    ],
    [
      "an image too large for the board",
      async (folder) => {
        const [body, image] = [join(folder, "big"), join(folder, "big.bin")];
        writeFileSync(body, new Uint8Array(125_000));
        const words = "sign --pad-header -S 0x40000 -v 2.0.0 -s 2 -k".split(" ");
        await bootproof([...words, keyFile("ed25519-1"), body, image]);
        return [image, "--key", keyFile("ed25519-1")];
      },
      /more than the 122880 that the bootloader allows/,
    ],
  ];

  it.each(refusals)("%s", async (_what, words, message) => {
    const ended = await bootproof(["flash", ...(await words(tempFolder())), ...GOOD]);
    expect(ended.status).toBe(3);
    expect(ended.stdout).toMatch(/^refused-by-preflight: .*\n {2}try: /);
    expect(`${ended.stderr}${ended.stdout}`).toMatch(message);
    expect(ended.stderr).not.toMatch(/sending/);
  });
});

describe("ports that are no help", () => {
  const quick = ["--timeout", "150"];

  it("a device that is silent", async ({ skip }) => {
    if (noPtyReason) skip(noPtyReason);
    const pty = await openPty();
    const ended = await bootproof(["info", "-d", `serial:${pty.path}`, ...quick]);
    await pty.unplug();
    expectComplaint(ended, {
      status: 16,
      message: /did not answer .* heard nothing at all/,
      tries: /Is the board on/,
    });
  });

  it.for<[string, string | Buffer, RegExp, RegExp]>([
    [
      "a wrong baud rate",
      Buffer.from("80ff91fe9c00e0f0fcf8e0c0".repeat(8), "hex"),
      /bytes that are not text/,
      /baud/,
    ],
    [
      "a log port",
      "[00:00:01.000] <inf> app: temperature 21\r\n",
      /only log text .*temperature 21/,
      /other port/,
    ],
  ])("%s", async ([_what, noise, message, tries], { skip }) => {
    if (noPtyReason) skip(noPtyReason);
    const pty = await openPty();
    const running = start(["info", "-d", `serial:${pty.path}`, ...quick]);
    let over = false;
    void running.ended.then(() => {
      over = true;
    });
    // Speaks after it is spoken to, so that it is not taken for a board that boots.
    for (let count = 1; !over; count++) {
      await Promise.race([pty.heard((all) => all.length > count * 10), running.ended]);
      pty.say(noise);
    }
    await pty.unplug();
    expectComplaint(await running.ended, { status: 17, message, tries });
  });

  it("a port that another program holds", async ({ skip }) => {
    if (noPtyReason) skip(noPtyReason);
    const pty = await openPty();
    const first = start(["info", "-d", `serial:${pty.path}`, "--timeout", "20000"]);
    await pty.heard((all) => all.length > 0);
    const ended = await bootproof(["info", "-d", `serial:${pty.path}`, ...quick]);
    first.child.kill("SIGKILL");
    await pty.unplug();
    expectComplaint(ended, { status: 12, message: /held by|in use|another program/i });
  });

  it("a port without permission", async ({ skip }) => {
    if (noPtyReason) skip(noPtyReason);
    const pty = await openPty();
    chmodSync(pty.path, 0o000);
    const asRoot = process.getuid?.() === 0;
    // Root may open anything, so the program gives itself away to nobody first.
    const through = asRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
    if (
      asRoot &&
      spawnSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, "-v"])
        .status !== 0
    )
      skip("root may open every port, and this machine cannot run Node as nobody");
    // Nobody has no home either.
    const options = { through, env: { HOME: "/nonexistent" } };
    const ended = await bootproof(["info", "-d", `serial:${pty.path}`, ...quick], options);
    await pty.unplug();
    expectComplaint(ended, { status: 13, message: /may not open|permission/i });
  });

  it("a TCP server that speaks something else", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const ended = await bootproof(["info", "-d", `tcp:127.0.0.1:${port}`, ...quick]);
    server.close();
    expectComplaint(ended, { status: 17, message: /only log text/ });
  });

  it("a link that goes away in the middle", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const ended = await bootproof(["info", "-d", `tcp:127.0.0.1:${port}`, ...quick]);
    server.close();
    expectComplaint(ended, { status: 15, message: /127\.0\.0\.1/ });
  });

  it("a flash file that another board has", async () => {
    const file = join(tempFolder(), "flash.bin");
    const first = start(["board", "wasm:good", "--flash", file]);
    await first.waitFor(/tcp:/);
    const ended = await bootproof(["info", "-d", `wasm:good?flash=${file}`]);
    expectComplaint(ended, { status: 12, message: /flash\.bin/ });
  });
});

describe("no board named", () => {
  const list = (env: Record<string, string>) => bootproof(["info", "--timeout", "100"], { env });

  it("BOOTPROOF_DEVICE names one", async () => {
    const { status, stdout } = await list({ BOOTPROOF_DEVICE: "wasm:two-images" });
    expect(status).toBe(0);
    expect(stdout).toMatch(/wasm:two-images/);
  });

  it("the config file names one, by a name of its own", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, ".bootproof.json"), '{"device": "desk", "boards": {"desk": "wasm:good"}}');
    const options = { cwd: folder, env: { XDG_STATE_HOME: tempFolder() } };
    await bootproof(["allow"], options);
    const { status, stdout } = await bootproof(["info"], options);
    expect(status).toBe(0);
    expect(stdout).toMatch(/wasm:good/);
  });

  it("the config file of the user's folder is read too", async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, "bootproof"));
    writeFileSync(join(folder, "bootproof/config.json"), '{"device": "wasm:good"}');
    expect((await bootproof(["info"], { env: { XDG_CONFIG_HOME: folder } })).status).toBe(0);
  });
});

it("a stack trace is for faults of ours alone, and asks to be reported", () => {
  // Nothing a user can do is known to lead there; the words stand in one place.
  expect(readFileSync(join(root, "src/cli/run.ts"), "utf8").match(/\.stack/g)).toHaveLength(1);
});
