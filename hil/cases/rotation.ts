import { type Key, trustKeys } from "bootproof";
import { type Case, fails, holds, unjudged } from "../case.js";
import type { Stand } from "../stand.js";

const claim = "signature";

/** The set of keys a board accepts. Run on boards with {old}, {old, new} and {new} it rehearses a rotation. */
export const rotation: readonly Case[] = [
  {
    id: "rotation/accepted-keys",
    supporting: true,
    claim,
    says: "Every key that the bench file calls accepted is.",
    needs: ["secondary", "key", "accepted-key"],
    risk: "secondary slot",
    expected: "An update signed with each of them starts.",
    steps: acceptedKeys,
  },
  {
    id: "rotation/refused-keys",
    claim,
    says: "No key that the bench file calls refused, old or not yet in use, is accepted.",
    needs: ["secondary", "key", "refused-key"],
    risk: "secondary slot",
    control: "update",
    expected: "No update signed with one of them starts.",
    steps: refusedKeys,
  },
  {
    id: "rotation/listed-keys",
    claim,
    says: "The keys that the board lists are the accepted ones and no others.",
    needs: ["key", "signature"],
    risk: "nothing",
    expected: "Its list holds the hashes of the accepted keys only.",
    steps: listedKeys,
  },
];

async function acceptedKeys(stand: Stand) {
  const keys = stand.options.keys.accepted;
  for (const { name, key } of keys) {
    const file = await stand.forge.make({ key });
    const { fate, shows } = await stand.offer(file, { what: `an update signed with ${name}` });
    if (fate !== "started") return fails(`An update signed with ${name} did not start: ${shows}.`);
    await stand.goHome();
  }
  return holds(`Accepted: ${keys.map(({ name }) => name).join(", ")}.`);
}

async function refusedKeys(stand: Stand) {
  const keys = stand.options.keys.refused;
  for (const { name, key } of keys) {
    const file = await stand.forge.make({ key });
    const { fate, shows } = await stand.offer(file, { what: `an update signed with ${name}` });
    if (fate === "started") return fails(`An update signed with ${name} was let through: ${shows}.`);
    if (fate === "unclear" || fate === "stopped") return unjudged(`${name}: ${shows}.`);
    await stand.goHome();
  }
  return holds(`Refused: ${keys.map(({ name }) => name).join(", ")}.`);
}

async function listedKeys(stand: Stand) {
  if (!stand.home.reportsTrust) return unjudged("The board does not list its keys.");
  const { keys } = await stand.client.send(trustKeys, {}, { signal: stand.signal });
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const own: Key[] = [stand.forge.key!, ...stand.options.keys.accepted.map(({ key }) => key)];
  const expected = new Set(own.map((key) => hex(key.keyHash)));
  const listed = new Set(keys.map(({ hash }) => hex(hash)));
  const foreign = [...listed].filter((hash) => !expected.has(hash));
  const missing = [...expected].filter((hash) => !listed.has(hash));
  if (foreign.length > 0)
    return fails(`It trusts keys that nobody named: ${foreign.map((hash) => hash.slice(0, 16)).join(", ")}.`);
  if (missing.length > 0)
    return fails(`It does not list ${missing.map((hash) => hash.slice(0, 16)).join(", ")}.`);
  return holds(`It lists ${listed.size} key${listed.size === 1 ? "" : "s"}, all of them named.`);
}
