import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProof } from "../../hil/index.js";
import { shortfalls } from "../../hil/policy.js";
import { compareReports } from "../../hil/report/compare.js";
import { toHtml } from "../../hil/report/html.js";
import { fromJson, toJson } from "../../hil/report/json.js";
import { toJunit } from "../../hil/report/junit.js";
import type { BoardResult, CaseResult, ProofReport } from "../../hil/result.js";

/** A real run over a weak board, so that every verdict is in it. */
let folder: string;
let report: ProofReport;
let text: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "report-"));
  const outcome = await runProof(
    {
      device: "wasm:no-signature",
      cases: [
        "authenticity",
        "integrity/flip-hash",
        "recovery/unsigned",
        "power-cut/swap",
        "compatibility/vendor-id",
      ],
      seed: 5,
      cuts: 3,
      reports: ["page.html", "junit.xml", "report.json"].map((name) => join(folder, name)),
    },
    { version: "1.2.3", signal: new AbortController().signal, note: () => {}, progress: () => {} },
  );
  ({ report, text } = outcome);
  expect(outcome.ending).toBe("does-not-hold");
});

afterAll(() => rmSync(folder, { recursive: true }));

const HOSTILE = `</pre><script>alert(1)</script>\u001b[31m" onload='x' & \ud800 \ufffe \u202e`;

/** The report with a hostile text wherever a board can put one. */
function hostile(): ProofReport {
  const [board] = report.boards as [BoardResult];
  const cases = board.cases.map((one): CaseResult => {
    const { evidence } = one;
    if (!evidence) return { ...one, seen: HOSTILE };
    const sights = evidence.sights.map((sight) => ({
      ...sight,
      running: { version: HOSTILE, hash: HOSTILE, confirmed: true },
      events: [{ type: HOSTILE, image: 0, slot: 0, reason: HOSTILE }],
    }));
    const messages = evidence.messages.map((message) => ({ ...message, payload: HOSTILE, command: HOSTILE }));
    const log = [{ at: 0, from: "log" as const, text: HOSTILE }];
    return { ...one, seen: HOSTILE, evidence: { ...evidence, sights, messages, log } };
  });
  return { ...report, boards: [{ ...board, board: HOSTILE, says: HOSTILE, cases }] };
}

describe("the reports of a run", () => {
  it("say for people which promise is broken and why", () => {
    expect(text).toMatch(/✗ Only your firmware starts +does not hold/);
    expect(text).toMatch(/authenticity\/unsigned.*The board let it through: version/);
    expect(text).toMatch(/✓ Damaged firmware does not start +holds/);
    expect(text).toMatch(/\? Recovery is no back door +could not be judged/);
  });

  it("carry the evidence: images by hash, messages, log, slots and counters before and after, cuts", () => {
    const unsigned = report.boards[0]!.cases.find(({ id }) => id === "authenticity/unsigned")!;
    expect(unsigned.evidence?.offered[0]).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(unsigned.evidence?.messages.length).toBeGreaterThan(3);
    expect(unsigned.evidence?.log.map((line) => line.text).join("\n")).toMatch(/swapped/);
    expect(unsigned.evidence?.sights.at(-1)?.counters).toEqual({ 0: 7 });
    expect(unsigned.before?.map(({ version }) => version)).toEqual(["3.1.4", undefined]);
    expect(unsigned.after?.map(({ version }) => version)).toEqual(["4.1.4", "3.1.4"]);
    const cut = report.boards[0]!.cases.find(({ id }) => id === "power-cut/swap")!;
    expect(cut.evidence?.cuts).toHaveLength(6);
  });

  it("in JSON can be read back and compared", () => {
    const path = join(folder, "report.json");
    const again = fromJson(path, readFileSync(path, "utf8"));
    expect(compareReports(again, report)).toEqual([]);
    const [board] = again.boards as [BoardResult];
    const cases = board.cases.map((one) => ({ ...one, verdict: "holds" as const }));
    const better = { ...again, boards: [{ ...board, cases }] };
    const changes = compareReports(better, report);
    expect(changes).toContainEqual(
      expect.objectContaining({
        id: "authenticity/unsigned",
        was: "holds",
        is: "does-not-hold",
        kind: "worse",
      }),
    );
    expect(compareReports(report, better).every(({ kind }) => kind === "better")).toBe(true);
    expect(() => fromJson("x", "{}")).toThrow(/no report/);
    expect(() => fromJson("x", "[")).toThrow(/no JSON/);
    expect(toJson(report)).toBe(readFileSync(path, "utf8"));
  });

  it("in JUnit count every case once, and an XML parser takes even hostile text", () => {
    const junit = readFileSync(join(folder, "junit.xml"), "utf8");
    const [, tests, failures, errors, skipped] =
      /<testsuite name="[^"]*" tests="(\d+)" failures="(\d+)" errors="(\d+)" skipped="(\d+)"/
        .exec(junit)!
        .map(Number);
    expect(tests).toBe(report.boards[0]!.cases.length);
    expect([failures! > 5, errors! > 0, skipped! > 0]).toEqual([true, true, true]);
    writeFileSync(join(folder, "hostile.xml"), toJunit(hostile()));
    const parse =
      "import sys, xml.dom.minidom; print(len(xml.dom.minidom.parse(sys.argv[1]).getElementsByTagName('testcase')))";
    const counted = execFileSync("python3", ["-c", parse, join(folder, "hostile.xml")], { encoding: "utf8" });
    expect(Number(counted)).toBe(report.boards[0]!.cases.length);
  });

  it("as a page need nothing from elsewhere and let no board's text become markup", () => {
    for (const page of [readFileSync(join(folder, "page.html"), "utf8"), toHtml(hostile())]) {
      expect(page).not.toMatch(/<script|<link|<img|src=|@import|url\(|onload='/i);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
      expect(page).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/);
    }
  });
});

const browser = ["chromium", "chromium-browser", "google-chrome"].find(
  (name) => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0,
);

describe("the page in a browser", () => {
  it("shows what a person needs first, and no error", (context) => {
    if (browser === undefined) return context.skip("no Chromium here: sudo apt-get install chromium");
    const page = pathToFileURL(join(folder, "page.html")).href;
    const words = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--enable-logging=stderr",
      "--dump-dom",
      page,
    ];
    const { status, stdout, stderr } = spawnSync(browser, words, {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(status).toBe(0);
    expect(stderr).not.toMatch(/CONSOLE.*(error|refused|violat)/i);
    const shown = stdout.replace(/<style>[\s\S]*?<\/style>/, "").replace(/<[^>]+>/g, " ");
    expect(shown).toMatch(/1 promise is not kept/);
    expect(shown.indexOf("Only your firmware starts")).toBeLessThan(shown.indexOf("How it was found out"));
    expect(stdout.match(/<details/g)!.length).toBeGreaterThan(20);
    expect(stdout.match(/<svg/g)!.length).toBeGreaterThan(10);
  });

  it("is drawn: the banner in its colour, pictures with their regions", (context) => {
    if (browser === undefined) return context.skip("no Chromium here: sudo apt-get install chromium");
    const probe = join(folder, "probe.html");
    const page = readFileSync(join(folder, "page.html"), "utf8").replace(/<meta http-equiv[^>]+>/, "");
    // Only this copy has a script: it writes down what the browser made of the page.
    const script = `<script>const c=(q,p)=>getComputedStyle(document.querySelector(q))[p];
document.querySelectorAll('details').forEach(d=>d.open=true);
document.title=JSON.stringify({banner:c('.banner','borderLeftColor'),body:c('.r-body','fill'),
wide:document.documentElement.scrollWidth<=innerWidth,svg:document.querySelector('.slot svg').getBoundingClientRect().width>200})</script>`;
    writeFileSync(probe, page.replace("</body>", `${script}</body>`));
    const words = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--window-size=900,1200",
      "--dump-dom",
      pathToFileURL(probe).href,
    ];
    const { stdout } = spawnSync(browser, words, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
    const title = /<title>(.*?)<\/title>/.exec(stdout)![1]!.replaceAll("&quot;", '"');
    expect(JSON.parse(title)).toEqual({
      banner: "rgb(179, 38, 30)",
      body: "rgb(116, 169, 247)",
      wide: true,
      svg: true,
    });
  });
});

describe("what keeps a run from passing", () => {
  it("without a policy: every claim that was tried and did not hold", () => {
    expect(shortfalls(report, undefined).map(({ what, verdict }) => [what, verdict])).toEqual([
      ["signature", "does-not-hold"],
      ["recovery-checked", "not-judged"],
    ]);
  });

  it("with one: what it names, and nothing else", () => {
    expect(shortfalls(report, { mustHold: ["integrity", "power-cut/swap"] })).toEqual([]);
    expect(
      shortfalls(report, { mustHold: ["integrity", "rollback", "vendor-id"] }).map(({ verdict }) => verdict),
    ).toEqual(["not-run", "not-supported"]);
  });

  it("a board that could not be used", async () => {
    const signal = new AbortController().signal;
    const hooks = { version: "1", signal, note: () => {}, progress: () => {} };
    const outcome = await runProof({ device: "tcp:127.0.0.1:9", cases: ["link"] }, hooks);
    expect(outcome.ending).toBe("not-judged");
    expect(outcome.text).toMatch(/could not be used: The image that runs .* is not named/);
  });
});
