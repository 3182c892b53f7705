import { fileURLToPath } from "node:url";

const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The public entries by their names, on the sources instead of the build: hil and tests name the library as its users do. */
export const libraryAlias = [
  { find: /^bootproof$/, replacement: source("src/index.ts") },
  { find: /^bootproof\/browser$/, replacement: source("src/browser.ts") },
  { find: /^bootproof\/prove$/, replacement: source("hil/index.ts") },
  { find: /^bootproof\/(\w+)$/, replacement: `${source("src/entries")}/$1.ts` },
];
