import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frame } from "../support/board-frames.js";
import { type Body, bodyOf, FirmwareSession, recordedMessage, wire } from "../support/firmware-session.js";

/** What was said to real Zephyr servers is said to our board, byte for byte; each answer is theirs, or a row of a table. */

interface Recording {
  name: string;
  ask: string[];
  answer: string[];
}
interface Section {
  target: string;
  exchanges: Recording[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../vectors/zephyr/exchanges.json", import.meta.url), "utf8"),
) as { sections: Record<string, Section> };

/** Why our answer is not the recorded one, and what it is instead: exact, or as a shape. */
interface Difference {
  why: string;
  ours: Body | object;
}

const anyText = expect.any(String) as string;
const anyNumber = expect.any(Number) as number;
const anyBytes = expect.any(Uint8Array) as Uint8Array;
const otherImage = "our image has its own version and hash; keys and flags are the recorded ones";
const running = (more: Body = {}) => ({
  slot: 0,
  version: "1.0.0",
  hash: anyBytes,
  bootable: true,
  pending: false,
  confirmed: true,
  active: true,
  permanent: false,
  ...more,
});

const differences: Record<string, Record<string, Difference>> = {
  base: {
    os_params: {
      why: "the board is provisioned with a larger buffer",
      ours: { buf_size: 1024, buf_count: 4 },
    },
    os_info_default: { why: "another system", ours: { output: "bootproof-fixture" } },
    os_info_all: {
      why: "another system",
      ours: {
        output: "bootproof-fixture 0001 good-a 1.0.0 undated wasm32 webassembly wasm-good none",
      },
    },
    os_bootloader_info: { why: "not built into the recorded server", ours: { bootloader: "bootproof-boot" } },
    os_bootloader_mode: { why: "not built into the recorded server", ours: { mode: 3 } },
    os_taskstat: {
      why: "we have no threads; the activities of the step loop are told instead",
      ours: {
        tasks: {
          smp: { prio: 0, tid: 0, state: 128, cswcnt: anyNumber, runtime: anyNumber },
          housekeeping: { prio: 1, tid: 1, state: 128, cswcnt: anyNumber, runtime: anyNumber },
        },
      },
    },
    os_datetime: {
      why: "not built into the recorded server; ours is not set",
      ours: { err: { group: 0, rc: 4 } },
    },
    img_state_read: { why: otherImage, ours: { images: [running()], splitStatus: 0 } },
    img_state_read_v1: { why: otherImage, ours: { images: [running()], splitStatus: 0 } },
    img_slot_info: {
      why: "slots of another size, and we know the largest image",
      ours: {
        images: [
          {
            image: 0,
            slots: [
              { slot: 0, size: 0x20000 },
              { slot: 1, size: 0x20000, upload_image_id: 0 },
            ],
            max_image_size: 0x1e000,
          },
        ],
      },
    },
    enum_count: { why: "group 200 comes on top", ours: { count: 9 } },
    enum_list: { why: "group 200 comes on top", ours: { groups: [10, 8, 1, 0, 3, 9, 2, 63, 200] } },
    enum_details: {
      why: "group 200 comes on top, and bootloader info (id 8) in group 0",
      ours: {
        groups: [
          { group: 10, name: "enum mgmt", handlers: 4 },
          { group: 8, name: "fs mgmt", handlers: 5 },
          { group: 1, name: "img mgmt", handlers: 7 },
          { group: 0, name: "os mgmt", handlers: 9 },
          { group: 3, name: "settings mgmt", handlers: 4 },
          { group: 9, name: "shell mgmt", handlers: 1 },
          { group: 2, name: "stat mgmt", handlers: 2 },
          { group: 63, name: "zephyr basic mgmt", handlers: 1 },
          { group: 200, name: "trust mgmt", handlers: 4 },
        ],
      },
    },
    stat_list: { why: "other statistics", ours: { stat_list: ["smp", "flash", "app"] } },
    shell_exec: {
      why: "another system",
      ours: { o: "bootproof-fixture good-a 1.0.0 ballast 2\r\n", ret: 0 },
    },
  },
  "other groups": {
    stat_show_smp: { why: "other statistics", ours: { err: { group: 2, rc: 3 } } },
    fs_download_off_0: {
      why: "the larger buffer holds the whole file",
      ours: { off: 0, data: anyBytes, len: 512 },
    },
    settings_save: { why: "the recorded server could not save, ours can", ours: {} },
    shell_version: {
      why: "another system",
      ours: { o: "bootproof-fixture good-a 1.0.0 ballast 2\r\n", ret: 0 },
    },
    shell_unknown_command: {
      why: "the same result; our text has no colours",
      ours: { o: "nope: command not found\r\n", ret: -8 },
    },
    enum_details_filtered: {
      why: "bootloader info (id 8) is built in",
      ours: {
        groups: [
          { group: 0, name: "os mgmt", handlers: 9 },
          { group: 9, name: "shell mgmt", handlers: 1 },
        ],
      },
    },
    datetime_set: { why: "not built into the recorded server", ours: {} },
    datetime_get: { why: "not built into the recorded server", ours: { datetime: anyText } },
    os_info_sn: { why: "another system", ours: { output: "bootproof-fixture 0001" } },
    os_bootloader_unknown_query: {
      why: "not built into the recorded server",
      ours: { err: { group: 0, rc: 3 } },
    },
  },
  "image group": {
    img_state_before: { why: otherImage, ours: { images: [running()], splitStatus: 0 } },
    img_slot_info: {
      why: "slots of another size, and we know the largest image",
      ours: {
        images: [{ image: 0, slots: [expect.anything(), expect.anything()], max_image_size: 0x1e000 }],
      },
    },
    img_upload_bad_image_number_v2: {
      why: "a single-image server took any number; we have bounds",
      ours: { err: { group: 1, rc: 14 } },
    },
  },
  "serial recovery": {
    recovery_os_echo: { why: "echo (BOOT_MGMT_ECHO) was not built in", ours: { r: "hello" } },
    recovery_img_state_read: {
      why: "image state (BOOT_SERIAL_IMG_GRP_IMAGE_STATE) was not built in: no flags",
      ours: {
        images: [
          { bootable: true, confirmed: true, active: true, slot: 0, hash: anyBytes, version: "1.0.0" },
        ],
      },
    },
    recovery_img_slot_info: {
      why: "slot info was not built in",
      ours: {
        images: [
          {
            image: 0,
            slots: [
              { slot: 0, size: 0x20000, upload_image_id: 0 },
              { slot: 1, size: 0x20000 },
            ],
            max_image_size: 0x1e000,
          },
        ],
      },
    },
    img_upload_chunk_1: { why: "the recorded image is larger than our slot", ours: { rc: 3 } },
    img_upload_chunk_2: { why: "so no upload has begun", ours: { rc: 0, off: 0 } },
    img_upload_chunk_3: { why: "so no upload has begun", ours: { rc: 0, off: 0 } },
    img_upload_chunk_134: { why: "so no upload has begun", ours: { rc: 0, off: 0 } },
  },
};
const inRecovery = differences["serial recovery"]!;
inRecovery.recovery_img_slot_info_rec = inRecovery.recovery_img_slot_info!;
inRecovery.recovery_img_state_v1 = inRecovery.recovery_img_state_read!;
inRecovery.recovery_img_state_after_upload = inRecovery.recovery_img_state_read!;

/** From here on the recorded session goes on with an image of its own; firmware-update.test.ts tells that story. */
const until: Record<string, string> = {
  "image group": "img_upload_chunk_140",
  "serial recovery": "img_state_after_recovery",
};

/** Our mount point is four characters, theirs five: the file takes the fifth. Lengths stay, so nothing else changes. */
function mounted(hex: string): string {
  return hex.replaceAll(Buffer.from("/lfs1/").toString("hex"), Buffer.from("/lfs/1").toString("hex"));
}

function exchangesOf(section: string): Recording[] {
  const all = vectors.sections[section]!.exchanges;
  const end = all.findIndex(({ name }) => name === until[section]);
  return end < 0 ? all : all.slice(0, end);
}

describe.each(Object.keys(vectors.sections))("recorded with Zephyr: %s", (section) => {
  let session: FirmwareSession;
  beforeAll(async () => {
    session = await FirmwareSession.open();
  });
  afterAll(() => session.close());

  test.each(exchangesOf(section))("$name", async ({ name, ask, answer: theirs }) => {
    const asked = recordedMessage(ask);
    const expected = recordedMessage(theirs);
    const moved = section === "other groups" ? mounted(asked) : asked;
    await session.send(moved === asked ? wire(ask) : frame(moved));
    const ours = await session.answer();
    const difference = differences[section]![name];
    if (difference) {
      expect(ours.hex.slice(0, 2), "version and operation").toBe(expected.slice(0, 2));
      expect(ours.body, difference.why).toEqual(difference.ours);
      expect(bodyOf(expected), "the difference is still one").not.toEqual(ours.body);
    } else {
      expect(ours.hex).toBe(expected);
    }
    if (/boot_mode/.test(name)) await session.boot(async () => {});
  });

  test("every listed difference belongs to a recorded exchange", () => {
    const names = exchangesOf(section).map(({ name }) => name);
    expect(Object.keys(differences[section]!).filter((name) => !names.includes(name))).toEqual([]);
  });
});

test("our lines are cut where Zephyr cuts them, whenever the message is the same", async () => {
  const session = await FirmwareSession.open();
  const same: string[] = [];
  for (const { name, ask, answer } of exchangesOf("other groups")) {
    if (name === "os_reset") continue;
    await session.send(frame(mounted(recordedMessage(ask))));
    const ours = await session.answer();
    if (ours.hex !== recordedMessage(answer)) continue;
    expect(ours.lines).toEqual(answer);
    same.push(name);
  }
  expect(same.length).toBeGreaterThan(30);
  await session.close();
});
