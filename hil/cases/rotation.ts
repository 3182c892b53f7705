import type { Key } from "bootproof";
import { type Case, fails, holds, unjudged } from "../case.js";
import type { Harness } from "../harness/harness.js";

const claim = "signature";

/** The set of keys a board accepts. Run on boards with {old}, {old, new} and {new} it rehearses a rotation. */
export const rotation: readonly Case[] = [
  {
    id: "rotation/accepted-keys",
    supporting: true,
    claim,
    summary: "Every key that the board file calls accepted is accepted.",
    needs: ["secondary", "key", "accepted-key"],
    risk: "secondary slot",
    expected: "An update signed with each of them starts.",
    steps: acceptedKeys,
  },
  {
    id: "rotation/refused-keys",
    claim,
    summary: "No key that the board file calls refused, old or not yet in use, is accepted.",
    needs: ["secondary", "key", "refused-key"],
    risk: "secondary slot",
    control: "update",
    expected: "No update signed with one of them starts.",
    steps: refusedKeys,
  },
  {
    id: "rotation/listed-keys",
    claim,
    summary: "The keys that the board lists are exactly the accepted ones.",
    needs: ["key", "signature", "key-list"],
    risk: "nothing",
    expected: "Its list contains only the hashes of the accepted keys.",
    steps: listedKeys,
  },
];

async function acceptedKeys(harness: Harness) {
  const keys = harness.options.keys.accepted;
  for (const { name, key } of keys) {
    const file = await harness.factory.make({ key });
    const { outcome, shows } = await harness.offer(file, { what: `an update signed with ${name}` });
    if (outcome !== "started") return fails(`An update signed with ${name} did not start: ${shows}.`);
    await harness.restoreBase();
  }
  return holds(`Accepted: ${keys.map(({ name }) => name).join(", ")}.`);
}

async function refusedKeys(harness: Harness) {
  const keys = harness.options.keys.refused;
  for (const { name, key } of keys) {
    const file = await harness.factory.make({ key });
    const { outcome, shows } = await harness.offer(file, { what: `an update signed with ${name}` });
    if (outcome === "started") return fails(`An update signed with ${name} was accepted: ${shows}.`);
    if (outcome === "unclear" || outcome === "stopped") return unjudged(`${name}: ${shows}.`);
    await harness.restoreBase();
  }
  return holds(`Refused: ${keys.map(({ name }) => name).join(", ")}.`);
}

async function listedKeys(harness: Harness) {
  const listed = new Set(harness.initial.trustedKeys);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const own: Key[] = [harness.factory.key!, ...harness.options.keys.accepted.map(({ key }) => key)];
  const expected = new Set(own.map((key) => hex(key.keyHash)));
  const foreign = [...listed].filter((hash) => !expected.has(hash));
  const missing = [...expected].filter((hash) => !listed.has(hash));
  if (foreign.length > 0)
    return fails(
      `It trusts keys that the board file does not name: ${foreign.map((hash) => hash.slice(0, 16)).join(", ")}.`,
    );
  if (missing.length > 0)
    return fails(`It does not list ${missing.map((hash) => hash.slice(0, 16)).join(", ")}.`);
  return holds(`It lists ${listed.size} key${listed.size === 1 ? "" : "s"}, all of them named.`);
}
