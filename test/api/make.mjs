/** Writes the list of what the public entries hand out: `npm run api`. Its diff is the change of the public surface. */
import { writeFileSync } from "node:fs";
import { fileOf, listOf, surfaces } from "./surface.mjs";

for (const surface of surfaces()) writeFileSync(fileOf(surface), listOf(surface));
