import fc from "fast-check";
import { expect, test } from "vitest";
import { drawFacts } from "../../src/cli/draw-facts.js";
import { drawValue } from "../../src/cli/draw-value.js";
import { connect } from "../../src/client/connect.js";
import { BootproofError } from "../../src/errors.js";
import { readFacts } from "../../src/session/board-facts.js";
import { listGroups } from "../../src/session/groups.js";
import { Session } from "../../src/session/session.js";
import { allCommands, commandOf } from "../../src/smp/groups/all.js";
import { toJson } from "../../src/smp/json.js";
import type { Fields, Kind } from "../../src/smp/schema.js";
import { fuzz } from "../support/fuzz.js";
import { ScriptedPipe } from "../support/pipe-script.js";

/**
 * Answers that have the declared shape and are wicked inside it: figures at their limits, texts that move a cursor, lists that
 * contradict each other, keys that mean something to JavaScript. Whatever comes, reading and drawing a board ends with a page
 * that is safe to print, or an error of ours.
 */
const { numRuns, seed, timeout } = fuzz(150);

const wickedText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom(
    "\u001b[2J\u001b[H",
    "a\r\nb",
    "\u0007",
    "\u202eexe.bin",
    "__proto__",
    "1.2.3",
    "MCUboot",
    "",
    "\u009b31m",
  ),
);
const uint = fc.oneof(
  fc.nat(3),
  fc.constantFrom(0, 255, 65_535, 2 ** 31, 2 ** 32 - 1, Number.MAX_SAFE_INTEGER),
);
const key = fc.oneof(fc.constantFrom("__proto__", "constructor", "length", "security_counter"), wickedText);
const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  uint,
  wickedText,
  fc.boolean(),
  fc.uint8Array({ maxLength: 40 }),
);

function answerTo(kind: Kind<unknown>): fc.Arbitrary<unknown> {
  const { fields } = kind as { fields?: Fields };
  switch (kind.form) {
    case "uint":
      return uint;
    case "int":
      return fc.oneof(uint, fc.integer());
    case "text":
      return wickedText;
    case "bool":
      return fc.boolean();
    case "bytes":
      return fc.uint8Array({ maxLength: 64 });
    case "list":
      return fc.array(kind.item ? answerTo(kind.item) : anyValue, { maxLength: 5 });
    case "map":
      return fields ? mapOf(fields) : fc.dictionary(key, anyValue, { maxKeys: 4 });
    default:
      return anyValue;
  }
}

/** The declared keys, optional ones now and then, and sometimes one that nobody declared. */
function mapOf(fields: Fields): fc.Arbitrary<Record<string, unknown>> {
  const required = Object.keys(fields).filter((name) => !("optional" in fields[name]!));
  const values = Object.fromEntries(Object.entries(fields).map(([name, kind]) => [name, answerTo(kind)]));
  return fc
    .tuple(
      fc.record(values, { requiredKeys: required }),
      fc.oneof(
        { weight: 4, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: fc.dictionary(key, anyValue, { maxKeys: 2 }) },
      ),
    )
    .map(([known, more]) => ({ ...more, ...known }));
}

const refusal = fc.oneof(
  fc.record({ rc: fc.integer({ min: -1, max: 300 }) }),
  fc.record({ err: fc.record({ group: uint, rc: uint }) }),
);
const answers = new Map(
  allCommands.map((command) => [
    command.name,
    fc.oneof(
      { weight: 6, arbitrary: answerTo(command.response) as fc.Arbitrary<Record<string, unknown>> },
      { weight: 1, arbitrary: refusal },
    ),
  ]),
);

/** Answers every request; which answer is which request's is settled beforehand, so that a failure can be had again. */
const device = fc.record(Object.fromEntries(answers)).map(
  (script) =>
    new ScriptedPipe((request, pipe) => {
      const command = commandOf(request.header);
      pipe.answer(request, (command && script[command.name]) ?? { rc: 8 });
    }),
);

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

async function orRefused<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof BootproofError) return undefined;
    throw error;
  });
}

test("whatever a board says of itself, its page ends, and is safe to print", { timeout }, async () => {
  let read = 0;
  await fc.assert(
    fc.asyncProperty(device, async (pipe) => {
      const session = await Session.open(() => connect(pipe, { probeTimeoutMs: 50, probes: 1, noticeMs: 0 }));
      const facts = await orRefused(readFacts(session));
      const groups = await orRefused(listGroups(session));
      await session.close();
      if (facts) {
        read++;
        expect(drawFacts(facts)).not.toMatch(UNSAFE);
      }
      if (groups) expect(groups.groups.length).toBeLessThanOrEqual(256);
    }),
    { numRuns, seed },
  );
  expect(read).toBeGreaterThan(numRuns / 20);
});

test("whatever an answer holds, it can be drawn safely and made JSON", { timeout }, () => {
  fc.assert(
    fc.property(fc.oneof(...answers.values()), (value) => {
      expect(drawValue(value)).not.toMatch(UNSAFE);
      JSON.stringify(toJson(value));
    }),
    { numRuns: numRuns * 10, seed },
  );
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});
