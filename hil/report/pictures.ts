import type { CutRecord } from "../evidence.js";
import type { SlotPicture } from "../snapshot.js";
import { html, type Markup } from "./markup.js";

const WIDTH = 720;
const BAR = 22;
/** A region of a few bytes in a slot of many would not be seen. */
const THINNEST = 2;

const REGION_CLASSES: Readonly<Record<string, string>> = {
  header: "r-header",
  body: "r-body",
  "protected TLVs": "r-protected",
  TLVs: "r-tlvs",
  free: "r-free",
  leftover: "r-leftover",
  trailer: "r-trailer",
};

/** The slots of a board, drawn to scale. */
export function drawSlots(title: string, pictures: readonly SlotPicture[]): Markup {
  return html`<figure><figcaption>${title}</figcaption>${pictures.map(drawSlot)}</figure>`;
}

function drawSlot({ image, slot, size, regions, trailer, version }: SlotPicture): Markup {
  const name = `${slot === 0 ? "primary" : "secondary"} slot${image > 0 ? ` of image ${image}` : ""}`;
  const bars = regions.map(({ kind, offset, length }) => {
    const x = (offset / size) * WIDTH;
    const width = Math.max((length / size) * WIDTH, kind === "free" ? 0 : THINNEST);
    return html`<rect x="${x.toFixed(1)}" y="0" width="${width.toFixed(1)}" height="${BAR}" class="${REGION_CLASSES[kind] ?? "r-leftover"}"><title>${kind}: ${length} bytes at ${offset}</title></rect>`;
  });
  return html`<div class="slot"><span>${name}: ${version === undefined ? "no image" : `version ${version}`}</span>
<svg viewBox="0 0 ${WIDTH} ${BAR}" preserveAspectRatio="none" role="img" aria-label="${name}">${bars}</svg><small>trailer: ${trailer}</small></div>`;
}

/** What the colours of {@link drawSlots} mean. */
export function slotLegend(): Markup {
  const entries = Object.entries(REGION_CLASSES).map(
    ([kind, name]) => html`<span class="key"><i class="${name}"></i>${kind}</span>`,
  );
  return html`<p class="legend">${entries}</p>`;
}

const BINS = 24;
const HEIGHT = 64;

/** How often power was cut where, and what came of it. */
export function drawCuts(cuts: readonly CutRecord[]): Markup {
  const scenarios = [...new Set(cuts.map(({ scenario }) => scenario))];
  return html`${scenarios.map((scenario) =>
    drawScenario(
      scenario,
      cuts.filter((cut) => cut.scenario === scenario),
    ),
  )}<p class="legend"><span class="key"><i class="c-old"></i>the old image ran</span><span class="key"><i class="c-fresh"></i>the new image ran</span><span class="key"><i class="c-bad"></i>wrong</span></p>`;
}

function drawScenario(scenario: string, cuts: readonly CutRecord[]): Markup {
  const first = Math.min(...cuts.map(({ at }) => at));
  const last = Math.max(...cuts.map(({ at }) => at));
  const bins = Math.min(BINS, last - first + 1);
  const binOf = (at: number) => Math.min(bins - 1, Math.floor(((at - first) / (last - first + 1)) * bins));
  const counts = Array.from({ length: bins }, () => ({ old: 0, fresh: 0, bad: 0 }));
  for (const { at, ok, ended } of cuts)
    counts[binOf(at)]![ok ? (ended.includes("new") ? "fresh" : "old") : "bad"]++;
  const most = Math.max(...counts.map(({ old, fresh, bad }) => old + fresh + bad), 1);
  const step = WIDTH / bins;
  const bars = counts.map((bin, index) => {
    let y = HEIGHT;
    return (["old", "fresh", "bad"] as const).map((part) => {
      const height = (bin[part] / most) * HEIGHT;
      y -= height;
      return html`<rect x="${(index * step).toFixed(1)}" y="${y.toFixed(1)}" width="${(step - 1).toFixed(1)}" height="${height.toFixed(1)}" class="c-${part}"/>`;
    });
  });
  const unit = UNITS[cuts[0]!.unit];
  const bad = cuts.filter(({ ok }) => !ok).length;
  return html`<figure><figcaption>${scenario}: ${cuts.length} power cuts, ${unit} ${first} to ${last}; ${bad === 0 ? "the right image ran after each" : `${bad} left the board wrong`}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" class="cuts" role="img" aria-label="Power cuts of ${scenario}">${bars}</svg></figure>`;
}

const UNITS = { operation: "flash operation", ms: "millisecond", byte: "byte" } as const;
