import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProof } from "../../hil/index.js";
import { shortfalls } from "../../hil/policy.js";
import { compareReports, comparisonWords } from "../../hil/report/compare.js";
import { toHtml } from "../../hil/report/html.js";
import { fromJson, toJson } from "../../hil/report/json.js";
import { toJunit } from "../../hil/report/junit.js";
import { countWords } from "../../hil/report/terminal.js";
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
  expect(outcome.ending).toBe("claim-broken");
});

afterAll(() => rmSync(folder, { recursive: true }));

const HOSTILE = `</pre><script>alert(1)</script>\u001b[31m" onload='x' & \ud800 \ufffe \u202e`;

/** The report with a hostile text wherever a board can put one. */
function hostile(): ProofReport {
  const [board] = report.boards as [BoardResult];
  const cases = board.cases.map((one): CaseResult => {
    const { evidence } = one;
    if (!evidence) return { ...one, observed: HOSTILE };
    const snapshots = evidence.snapshots.map((snapshot) => ({
      ...snapshot,
      running: { version: HOSTILE, hash: HOSTILE, confirmed: true },
      events: [{ type: HOSTILE, image: 0, slot: 0, reason: HOSTILE }],
    }));
    const messages = evidence.messages.map((message) => ({ ...message, payload: HOSTILE, command: HOSTILE }));
    const log = [{ at: 0, from: "log" as const, text: HOSTILE }];
    return { ...one, observed: HOSTILE, evidence: { ...evidence, snapshots, messages, log } };
  });
  return { ...report, boards: [{ ...board, board: HOSTILE, summary: HOSTILE, cases }] };
}

describe("the reports of a run", () => {
  it("say for people which promise is broken and why", () => {
    expect(text).toMatch(/✗ Only your firmware starts +does not hold/);
    expect(text).toMatch(/authenticity\/unsigned.*The board accepted it: version/);
    expect(text).toMatch(/✓ Damaged firmware does not start +holds/);
    expect(text).toMatch(/\? Recovery is not a back door +could not be judged/);
  });

  it("say how many cases fail and how many hold", () => {
    expect(text).toMatch(/does not hold \(\d+ cases fail, /);
    expect(text).toMatch(/Damaged firmware does not start +holds \(1 case holds\)/);
    const counts = { "does-not-hold": 4, holds: 1, "not-judged": 0, "not-supported": 2 };
    expect(countWords(counts)).toBe("4 cases fail, 1 holds, 2 are not supported");
  });

  it("of a quick run say what was left out", async () => {
    const hooks = { version: "1", signal: new AbortController().signal, note: () => {}, progress: () => {} };
    const path = join(folder, "quick.html");
    const request = { device: "wasm:good", quick: true, claims: ["signature"], seed: 1, reports: [path] };
    const quick = await runProof(request, hooks);
    expect(quick.report.leftOut?.length).toBeGreaterThan(0);
    expect(quick.report.leftOut).not.toContain(quick.report.boards[0]!.cases[0]!.id);
    expect(quick.text).toMatch(/--quick left out \d+ cases \(\d+ authenticity/);
    expect(readFileSync(path, "utf8")).toMatch(/--quick left out \d+ cases/);
    expect(text).not.toMatch(/--quick/);
  });

  it("say that nothing changed, and of how many cases", () => {
    expect(comparisonWords("last.json", report, report, [])).toBe(
      `Compared with last.json: of ${report.boards[0]!.cases.length} cases nothing changed.`,
    );
    const [board] = report.boards as [BoardResult];
    const fewer = { ...report, boards: [{ ...board, cases: board.cases.slice(0, 1) }] };
    expect(comparisonWords("last.json", fewer, report, [])).toMatch(/of 1 cases? nothing changed; \d+ other/);
    const none = { ...report, boards: [{ ...board, cases: [] }] };
    expect(comparisonWords("last.json", none, report, [])).toMatch(/nothing was compared/);
  });

  it("carry the evidence: images by hash, messages, log, slots and counters before and after, cuts", () => {
    const unsigned = report.boards[0]!.cases.find(({ id }) => id === "authenticity/unsigned")!;
    expect(unsigned.evidence?.offered[0]).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(unsigned.evidence?.messages.length).toBeGreaterThan(3);
    expect(unsigned.evidence?.log.map((line) => line.text).join("\n")).toMatch(/swapped/);
    expect(unsigned.evidence?.snapshots.at(-1)?.counters).toEqual({ 0: 7 });
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
    expect(() => fromJson("x", "{}")).toThrow(/not a report/);
    expect(() => fromJson("x", "[")).toThrow(/not JSON/);
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

  it("in JUnit fail by the policy, as the exit status does", () => {
    const numbers = (mustHold: string[]) =>
      /<testsuite name="[^"]*" tests="(\d+)" failures="(\d+)" errors="(\d+)"/
        .exec(toJunit(report, { mustHold }))!
        .slice(1)
        .map(Number);
    const all = report.boards[0]!.cases.length;
    expect(numbers(["integrity"])).toEqual([all, 0, 0]);
    expect(numbers(["signature"])[1]).toBeGreaterThan(5);
    // Named by the policy, and no case was run for it: a test of its own that fails.
    expect(numbers(["integrity", "rollback"])).toEqual([all + 1, 0, 1]);
    expect(toJunit(report, { mustHold: ["integrity"] })).toMatch(/<skipped message="The board accepted it/);
  });

  it("as a page lead from each verdict to what shows it, and say what was proven and by whom", () => {
    const page = toHtml({
      ...report,
      ranBy: "A. Tester",
      boards: report.boards.map((board) => ({
        ...board,
        product: "Pump 3",
        unit: "0042",
        bootloader: { name: "MCUboot", sha256: "ab".repeat(32) },
      })),
    });
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const links = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((id) => !ids.includes(id))).toEqual([]);
    for (const message of ["run by A. Tester", "Pump 3", "0042", "MCUboot, swap-move", "ab".repeat(32)])
      expect(page).toContain(message);
    expect(page).toContain("prefers-color-scheme:dark");
    expect(page).toContain("Point by point");
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
    expect(shown.indexOf("Only your firmware starts")).toBeLessThan(shown.indexOf("Evidence"));
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

  it("a report that cannot be written in the end costs neither the others nor the result", async () => {
    const signal = new AbortController().signal;
    const taken = join(folder, "taken.html");
    const other = join(folder, "other.json");
    const notes: string[] = [];
    const outcome = await runProof(
      { device: "tcp:127.0.0.1:9", cases: ["link"], reports: [taken, other] },
      {
        version: "1",
        signal,
        note: (text) => void notes.push(text),
        progress: () => {},
        onBoards: () => void mkdirSync(taken),
      },
    );
    expect(outcome.unwritten).toMatchObject([{ code: "report-unwritable" }]);
    expect(notes.join("\n")).toContain(`The report ${taken} cannot be written`);
    // As PowerShell and editors of Windows write it again.
    expect(fromJson(other, `\ufeff${readFileSync(other, "utf8")}`).boards).toHaveLength(1);
  });

  it("a board that could not be used", async () => {
    const signal = new AbortController().signal;
    const hooks = { version: "1", signal, note: () => {}, progress: () => {} };
    const outcome = await runProof({ device: "tcp:127.0.0.1:9", cases: ["link"] }, hooks);
    expect(outcome.ending).toBe("claim-open");
    expect(outcome.text).toMatch(/could not be used: The running image of .* is not named/);
  });
});
