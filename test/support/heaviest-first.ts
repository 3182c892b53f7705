import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What takes minutes, the longest first: whatever begins last is what a run ends with, alone. */
const HEAVIEST = [
  "update/real-servers",
  "hil/weak-variants",
  "hil/rigs",
  "client/real-lengths",
  "cli/station-together",
  "cli/station-recover",
  "cli/lab-places",
  "platforms/arm64",
  "platforms/node-versions",
  "recovery/recover-unplugged",
  "agents/aws",
  "mender/orchestrator",
  "cli/ratchet-steps",
];

/**
 * Then what has a process each, then what shares processes: a process goes on with another file only if that is the next one.
 * Otherwise as Vitest does: what took longest before, or, on a fresh machine, the largest files.
 */
export class HeaviestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = ({ moduleId, project }: TestSpecification) => {
      const at = HEAVIEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      if (at >= 0) return at;
      return HEAVIEST.length + (project.config.isolate ? 0 : 1);
    };
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
