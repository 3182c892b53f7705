import { spawn } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { roomBanner } from "../../src/cli/many-boards/room-banner.js";
import { ensureBuilt, program } from "../support/cli-build.js";
import { benchFiles, noPtyBoardReason, startPtyBoard } from "../support/station.js";
import { image as signed } from "../support/workflow-board.js";

beforeAll(ensureBuilt);

describe("flash --each", () => {
  it.skipIf(noPtyBoardReason !== undefined)(
    `does one board after the other, with the labels of a scanner, and says which was done before${noPtyBoardReason ? ` (${noPtyBoardReason})` : ""}`,
    async () => {
      const files = await benchFiles();
      const port = join(files.folder, "port");
      const words = ["flash", files.update, "--key", files.publicKey, "--soak", "0", "--wait", "20000"];
      const env = { PATH: process.env.PATH ?? "", HOME: files.folder, XDG_STATE_HOME: files.state };
      const run = spawn(
        process.execPath,
        [program, ...words, "--each", "-d", `serial:${port}`, "--count", "3"],
        { env, stdio: ["pipe", "pipe", "pipe"] },
      );
      let said = "";
      for (const stream of [run.stdout, run.stderr])
        stream.setEncoding("utf8").on("data", (text: string) => {
          said += text;
        });
      const ended = new Promise<number | null>((resolve) => run.once("close", resolve));
      onTestFinished(async () => {
        run.kill("SIGKILL");
        await ended;
      });
      const waitFor = async (pattern: RegExp) => {
        while (!pattern.test(said)) {
          if (run.exitCode !== null) throw new Error(`it ended without saying ${pattern}: ${said}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      await waitFor(/Board 1: plug it in/);
      run.stdin.write("SN-0017\n");
      const first = await startPtyBoard("good", await signed("good-a"), { link: port });
      await waitFor(/======== PASS ========\nBoard 1, SN-0017, .*: confirmed\./);
      await waitFor(/1 board: 1 passed, 0 failed, 0 were done before\. Unplug it\./);
      expect(await first.readByOthers()).toEqual({ version: "2.0.0", confirmed: true });
      await first.unplug();

      await waitFor(/Board 2: plug it in/);
      const foreign = await startPtyBoard("p256", await signed("good-a", { variant: "p256" }), {
        link: port,
      });
      await waitFor(/======== FAIL ========\nBoard 2, .*: refused-by-preflight\./);
      expect((await foreign.readByOthers()).version).toBe("1.0.0");
      await foreign.unplug();

      await waitFor(/Board 3: plug it in/);
      const again = await first.plugIn({ link: port });
      await waitFor(/======== DONE ========\nBoard 3, .*: already-running\. .*It was done before\./);
      expect(await ended).toBe(60);
      expect(said).toMatch(/SN-0017 \(.*\) +confirmed[\s\S]*2 of 3 boards succeeded\.\n$/);
      await again.unplug();
    },
  );

  it("fills the terminal's width with the word", () => {
    for (const columns of [20, 80, 200]) {
      const lines = roomBanner("PASS", columns).split("\n");
      expect(new Set(lines.map((line) => stripVTControlCharacters(line).length))).toEqual(new Set([columns]));
    }
    expect(roomBanner("FAIL", 3)).toContain("FAI");
  });
});
