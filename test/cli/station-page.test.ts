import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { keyFile } from "../support/cli-run.js";
import { freePort } from "../support/free-port.js";
import { complaintsOf, noPageReason, openBrowser } from "../support/page.js";
import {
  benchFiles,
  heldBoard,
  isQuiet,
  noPtyBoardReason,
  runsNow,
  startPtyBoard,
  startStation,
  tilesOnce,
} from "../support/station.js";
import { image as signed } from "../support/workflow-board.js";
import { isUpload, type Passing } from "../support/workflow-wire.js";

beforeAll(ensureBuilt);

/** Somebody may want to look: BOOTPROOF_PICTURES names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.BOOTPROOF_PICTURES;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

/** Nothing sticks out to the right, whatever the width. */
const sticksOut = (page: Page) =>
  page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");

/** Whether the large word of the first tile has room, and how its box breaks lines. */
const largeWord = (page: Page) =>
  page.evaluate(
    "[...document.querySelectorAll('.tile .big')].map((word) => ({ fits: word.scrollWidth <= word.clientWidth, lines: getComputedStyle(word).whiteSpace }))[0]",
  );

/** Tables that have to be pushed to the side to be read. */
const scrollsSideways = (page: Page) =>
  page.evaluate(
    "[...document.querySelectorAll('.scroll, .figures')].filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.className)",
  );

const NASTY = `<img src=x onerror=alert(1)>`;

describe("the page of a station", () => {
  const whyNoBoard = noPageReason ?? noPtyBoardReason;

  it.skipIf(whyNoBoard !== undefined)(
    `serves a technician for a day${whyNoBoard ? ` (${whyNoBoard})` : ""}`,
    async () => {
      const files = await benchFiles();
      const held = await heldBoard();
      writeFileSync(join(files.folder, "own.bin"), await signed("good-a"));
      const rack = join(files.folder, "rack.yaml");
      writeFileSync(
        rack,
        `boards:
  - { name: left, kind: wasm, flash: left.flash, tags: [bench] }
  - { name: right, kind: wasm, flash: right.flash, tags: [bench] }
  - { name: weak, kind: wasm, variant: no-signature, flash: weak.flash }
${held.row("desk", `image: own.bin, keys: { signing: ${keyFile("ed25519-1")} }`)}
`,
      );
      // The page looks for the station where it was.
      const port = String(await freePort());
      const words = ["--boards", rack, "--key", files.publicKey, "--soak", "0", "--port", port];
      const env = { XDG_STATE_HOME: files.state };
      const morning = await startStation(words, { env });
      const open = await openBrowser();
      const context = await open({
        viewport: { width: 1600, height: 900 },
        acceptDownloads: true,
      });
      const page = await context.newPage();
      const complaints = complaintsOf(page, morning.url);
      await page.goto(morning.url);

      // In the morning: what is there, and what does it run?
      const tile = (name: string) => page.getByRole("article", { name, exact: true });
      await tile("left").getByText("1.0.0").waitFor();
      await tile("weak").getByText("READY").waitFor();

      // A release comes in. The keyboard alone will do.
      await page.getByLabel("Add an update").setInputFiles(files.update);
      await page.getByText(/update\.bin, version 2\.0\.0, is available/).waitFor();
      await page.getByLabel("Label").focus();
      await page.keyboard.type(`SN-17 ${NASTY}`);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      expect(await page.evaluate("document.activeElement.textContent")).toBe("bench");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Start on 2 boards" }).waitFor();
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.getByText("Flash is queued on 2 boards.").waitFor();
      await picture(page, "1600-under-way");
      for (const name of ["left", "right"]) await tile(name).getByText("PASS").waitFor();
      await tile("left").getByText("2.0.0").waitFor();
      expect(await tile("left").getByText(NASTY).count()).toBe(1);
      expect(await page.locator("img").count()).toBe(0);
      // What ends is read aloud.
      expect(await page.locator("[aria-live=polite]").textContent()).toMatch(/(left|right): Flash PASS/);

      // Which of them keeps its promises? One does not.
      await page.getByRole("button", { name: "None" }).click();
      await page.getByRole("combobox", { name: "Job" }).selectOption("Prove (quick)");
      await page.getByLabel("Choose weak").check();
      await page.getByRole("button", { name: "Start on 1 board" }).click();
      await tile("weak").getByText("FAIL").waitFor();
      await picture(page, "1600-light");
      await tile("weak")
        .getByRole("link", { name: /claim-broken/ })
        .click();
      await page.getByRole("heading", { name: "Prove (quick) on weak" }).waitFor();
      await page
        .getByText(/authenticity.unsigned/)
        .first()
        .waitFor();
      await picture(page, "1600-record");
      const [proof] = await Promise.all([
        context.waitForEvent("page"),
        page.getByRole("link", { name: "Evidence of this proof" }).click(),
      ]);
      await proof.getByText("1 promise is not kept").waitFor();
      await proof.close();

      // Noon: a job by mistake is stopped, and one is taken from the queue. It waits in its first upload until then.
      await page.getByRole("link", { name: "Bench" }).click();
      await page.getByLabel("Choose desk").check();
      await page.getByRole("combobox", { name: "Job" }).selectOption("Prove (full)");
      await page.getByRole("button", { name: "Start on 1 board" }).click();
      await page.getByText("Prove (full) is queued on 1 board.").waitFor();
      await page.getByRole("combobox", { name: "Job" }).selectOption("Flash");
      await page.getByLabel("Choose desk").check();
      await page.getByRole("button", { name: "Start on 1 board" }).click();
      await page.getByText("Flash is queued on 1 board.").waitFor();
      await tile("desk").getByRole("link", { name: "Details of desk" }).click();
      await page.getByRole("button", { name: "Take Flash from the queue" }).click();
      await page.getByText("Empty.").waitFor();
      held.letGo();
      await page.getByRole("button", { name: "Stop Prove (full)" }).click();
      await page.getByText("STOPPED").first().waitFor();
      // What a board says is shown as it comes.
      await page.goto(`${morning.url}#/board/left`);
      await page.getByRole("button", { name: "Follow the console" }).click();
      await page
        .getByRole("log")
        .getByText(/boot|started|version/i)
        .first()
        .waitFor();
      await picture(page, "1600-board");
      await page.getByRole("button", { name: "Stop Console" }).click();

      // On the telephone, in the dark.
      const phone = await open({ viewport: { width: 400, height: 800 }, colorScheme: "dark" });
      const small = await phone.newPage();
      const complaintsSmall = complaintsOf(small, morning.url);
      await small.goto(morning.url);
      await small.getByRole("article", { name: "left", exact: true }).waitFor();
      await picture(small, "400-dark");
      expect(await sticksOut(small)).toBe(0);
      expect(await small.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(17, 20, 24)");
      await small.getByRole("link", { name: "History" }).click();
      await small.getByRole("table", { name: "Records" }).waitFor();
      await small.getByText(/Figures of the rig:/).click();
      await small.getByRole("row", { name: /left/ }).first().waitFor();
      await picture(small, "400-history");
      expect(await sticksOut(small)).toBe(0);
      expect(await scrollsSideways(small)).toEqual([]);

      // The station is killed, and is there again: the page finds it by itself.
      await tilesOnce(morning, isQuiet);
      await morning.kill();
      await page.getByText("The station does not answer. Trying again.").waitFor();
      const evening = await startStation(words, { env });
      await page.getByText("live", { exact: true }).waitFor();

      // In the evening: the history, counted, and taken along.
      await page.getByRole("link", { name: "History" }).click();
      await page.getByText("4 records").waitFor();
      await page.getByRole("combobox", { name: "Verdict" }).selectOption("FAIL");
      await page.getByText("1 record", { exact: true }).waitFor();
      await page.getByText(/Figures of the rig: 0 of 1 passed, 1 failed/).click();
      await page
        .getByRole("table", { name: "Figures of the rig" })
        .getByText("claim-broken 1")
        .first()
        .waitFor();
      await picture(page, "1600-history");
      await page.getByRole("combobox", { name: "Verdict" }).selectOption("");
      await page.getByText("4 records").waitFor();
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "CSV" }).click(),
      ]);
      const csv = readFileSync(await download.path(), "utf8");
      expect(csv.trimEnd().split("\r\n")).toHaveLength(5);
      expect(csv).toContain("SN-17");

      // Every control has a name for those who hear the page.
      for (const at of ["#/", "#/history", "#/board/left"]) {
        await page.goto(`${evening.url}${at}`);
        await page.locator("main *").first().waitFor();
        expect(await namelessIn(page), at).toEqual([]);
      }
      const tiles = await tilesOnce(evening, isQuiet);
      for (const name of ["left", "right"]) {
        const { version, hash } = await runsNow(`wasm:good?flash=${join(files.folder, `${name}.flash`)}`);
        expect(tiles[name]!.facts).toMatchObject({ version, hash });
      }
      // While it was away, its requests failed; nothing else was wrong, and nobody else was asked.
      const isAway = (text: string) =>
        /ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED|ERR_NETWORK|net::ERR/.test(text);
      expect([...complaints, ...complaintsSmall].filter((text) => !isAway(text))).toEqual([]);
      await evening.end();
    },
  );

  it.skipIf(whyNoBoard !== undefined)(
    `says LINK LOST of a board that is unplugged during an upload, and what smpclient reads once it is back${whyNoBoard ? ` (${whyNoBoard})` : ""}`,
    async () => {
      const files = await benchFiles();
      const link = join(files.folder, "port");
      let act = () => {};
      const cable = (message: Passing): "pass" => {
        if (message.direction === "to-board" && isUpload(message) && Number(message.fields.off) > 8000) act();
        return "pass";
      };
      const board = await startPtyBoard("good", await signed("good-a"), { link, cable });
      const words = ["--key", files.publicKey, "--update", files.update, "--soak", "0", "--wait", "60000"];
      const station = await startStation(["-d", `serial:${link}`, ...words], {
        env: { XDG_STATE_HOME: files.state },
      });
      await tilesOnce(station, isQuiet);
      const page = await (await (await openBrowser())()).newPage();
      // A damaged address shows no stale page.
      await page.goto(`${station.url}#/board/%`);
      await page.getByText(/There is no board/).waitFor();
      await page.goto(`${station.url}#/`);
      const tile = page.getByRole("article");
      const unplugged = new Promise<void>((resolve, reject) => {
        act = () => {
          act = () => {};
          board.unplug().then(resolve, reject);
        };
      });
      await tile.getByRole("checkbox").check();
      await page.getByRole("button", { name: "Start on 1 board" }).click();
      await unplugged;
      await tile.getByText("! LINK LOST").waitFor();
      expect(await tile.getAttribute("class")).toBe("tile lost");
      // In one line, in the narrowest tile there is.
      await page.setViewportSize({ width: 720, height: 800 });
      expect(await largeWord(page)).toEqual({ fits: true, lines: "nowrap" });
      await page.setViewportSize({ width: 1280, height: 800 });
      await tile.getByRole("button", { name: /^Stop Flash on / }).waitFor();
      await picture(page, "1280-link-lost");
      const again = await board.plugIn({ link });
      await tile.getByText("PASS").waitFor();
      const { version, confirmed } = Object.values(await tilesOnce(station, isQuiet))[0]!.facts!;
      expect(await again.readByOthers()).toEqual({ version, confirmed });
      expect({ version, confirmed }).toEqual({ version: "2.0.0", confirmed: true });
      await station.end();
    },
  );

  it.skipIf(noPageReason !== undefined)(
    "asks for the token first, and shows a viewer no controls",
    async () => {
      const files = await benchFiles();
      const token = join(files.folder, "token");
      writeFileSync(token, "viewer-0123456789\n");
      const station = await startStation(["-d", "wasm:good", "--viewer-token-file", token], {
        env: { XDG_STATE_HOME: files.state },
      });
      const page = await (await (await openBrowser())()).newPage();
      await page.goto(station.url);
      await page.getByLabel("Token").fill("something else 99");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").getByText("That is not the token of this station.").waitFor();
      await page.getByLabel("Token").fill("viewer-0123456789");
      await page.keyboard.press("Enter");
      await page.getByText("read-only").waitFor();
      await page.getByRole("article", { name: "wasm:good" }).getByText("1.0.0").waitFor();
      expect(await page.getByRole("button").count()).toBe(0);
      expect(await page.getByRole("checkbox").count()).toBe(0);
      await station.end();
    },
  );
});

/** Controls that a screen reader could not name. */
function namelessIn(page: Page): Promise<string[]> {
  return page.evaluate(`
    [...document.querySelectorAll("a, button, input, select, progress")]
      .filter((element) => {
        const labels = [...(element.labels ?? [])].map((label) => label.textContent);
        return [element.getAttribute("aria-label"), ...labels, element.textContent].join("").trim() === "";
      })
      .map((element) => element.outerHTML)`);
}
