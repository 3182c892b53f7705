import { BootproofError } from "../errors.js";
import type { BoardProfile, LineStep, PortFact, UsbMatch } from "./profile.js";

/** A profile that a user wrote is not one. */
export class ProfileError extends BootproofError {
  declare readonly code: "bad-profile";
  /** The field that is wrong, as a path: `[0].target[1].vendorId`. */
  readonly field: string;

  constructor(field: string, what: string) {
    super("bad-profile", `profile field ${field}: ${what}.`, {
      hint: "bootproof devices --profiles shows the built-in profiles in the same shape.",
    });
    this.field = field;
  }
}

type Reader<T> = (value: unknown, field: string) => T;

/**
 * Profiles of a user, in the shape of {@link BoardProfile}; `sources` may be left out; it and `unverified` are not kept. Unknown fields are refused, since
 * a misspelt fact would be a missing one.
 *
 * @throws ProfileError
 */
export const readProfiles: Reader<BoardProfile[]> = (value, field) => list(readProfile)(value, field);

const readProfile: Reader<BoardProfile> = (value, field) => {
  const fields = record(value, field, [...Object.keys(FIELDS), "sources", "unverified"]);
  const read = Object.entries(FIELDS).flatMap(([name, reader]) =>
    fields[name] === undefined ? [] : [[name, reader(fields[name], `${field}.${name}`)]],
  );
  const profile = Object.fromEntries(read) as Partial<BoardProfile>;
  const { id, name } = profile;
  if (id === undefined || !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(id))
    throw new ProfileError(`${field}.id`, 'is a short name of letters and digits, as "nrf52840dk"');
  return { ...profile, id, name: name ?? id, sources: {} };
};

const text: Reader<string> = (value, field) => {
  if (typeof value !== "string" || value.length === 0 || value.length > 1000)
    throw new ProfileError(field, "is not a text of up to 1000 characters");
  return value;
};

const flag: Reader<boolean> = (value, field) => {
  if (typeof value !== "boolean") throw new ProfileError(field, "is not true or false");
  return value;
};

const number: Reader<number> = (value, field) => {
  const whole = typeof value === "string" && /^0x[0-9a-f]{1,8}$/i.test(value) ? Number(value) : value;
  if (typeof whole !== "number" || !Number.isInteger(whole) || whole < 0 || whole > 0xffff_ffff)
    throw new ProfileError(field, 'is not a whole number, as 49152 or "0xc000"');
  return whole;
};

const usbId: Reader<string> = (value, field) => {
  const id = text(value, field).toLowerCase();
  if (!/^[0-9a-f]{4}$/.test(id)) throw new ProfileError(field, 'is not four hex digits, as "1915"');
  return id;
};

const oneOf =
  <T extends string>(...known: readonly T[]): Reader<T> =>
  (value, field) => {
    const found = known.find((word) => word === value);
    if (found === undefined) throw new ProfileError(field, `is not one of ${known.join(", ")}`);
    return found;
  };

const MOST_ROWS = 64;

const list =
  <T>(reader: Reader<T>): Reader<T[]> =>
  (value, field) => {
    if (!Array.isArray(value) || value.length > MOST_ROWS)
      throw new ProfileError(field, `is not a list of up to ${MOST_ROWS}`);
    return value.map((row, index) => reader(row, `${field}[${index}]`));
  };

/** An object of optional fields, each with its reader. */
const object =
  <T extends object>(
    readers: Readonly<Record<string, Reader<unknown>>>,
    required: readonly string[] = [],
  ): Reader<T> =>
  (value, field) => {
    const fields = record(value, field, Object.keys(readers));
    for (const name of required)
      if (fields[name] === undefined) throw new ProfileError(`${field}.${name}`, "is missing");
    return Object.fromEntries(
      Object.entries(fields).map(([name, inner]) => [name, readers[name]!(inner, `${field}.${name}`)]),
    ) as T;
  };

const usbMatch = object<UsbMatch>(
  {
    vendorId: usbId,
    productId: usbId,
    product: text,
    serialPrefix: text,
    state: oneOf("application", "vendor-bootloader", "st-rom-dfu"),
  },
  ["vendorId"],
);
const portFact = object<PortFact>({ role: oneOf("smp", "log", "smp-and-log", "other"), wiredTo: text }, [
  "role",
  "wiredTo",
]);
const lineStep = object<LineStep>({ dtr: flag, rts: flag, baudRate: number, close: flag, waitMs: number });
const slotFact = object({ address: number, size: number }, ["address", "size"]);

const slotPair: Reader<unknown> = (value, field) => {
  const pair = list(slotFact)(value, field);
  if (pair.length !== 2) throw new ProfileError(field, "is not two slots, primary and secondary");
  return pair;
};

const erasedByte: Reader<number> = (value, field) => {
  if (value === 0 || value === 0xff) return value;
  throw new ProfileError(field, "is neither 0 nor 255");
};

/** Field -> how it is read. The names are those of {@link BoardProfile}. */
const FIELDS: Readonly<Record<Exclude<keyof BoardProfile, "sources" | "unverified">, Reader<unknown>>> = {
  id: text,
  name: text,
  target: list(usbMatch),
  probe: list(usbMatch),
  ports: list(portFact),
  lines: object({ reason: text, dtr: flag, rts: flag }, ["reason"]),
  enter: list(lineStep),
  recoveryByHand: text,
  rom: object({ kind: oneOf("st", "nordic-usb"), byHand: text, enter: list(lineStep), flashBase: number }, [
    "kind",
    "byHand",
  ]),
  slots: slotPair,
  erasedValue: erasedByte,
  chip: object({ "probe-rs": text, openocd: text, pyocd: text, nrfutil: text, stm32programmer: text }),
};

function record(value: unknown, field: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ProfileError(field, "is not an object");
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw new ProfileError(`${field}.${name}`, `is not a known field; known: ${known.join(", ")}`);
  }
  return value as Record<string, unknown>;
}
