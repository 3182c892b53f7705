import { UsageError } from "./usage-error.js";

/** The time; SOURCE_DATE_EPOCH fixes it, so that the same changes give the same metadata. */
export function currentTime(): Date {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  if (epoch === undefined) return new Date();
  if (!/^\d{1,10}$/.test(epoch))
    throw new UsageError(`SOURCE_DATE_EPOCH is "${epoch}", not a number of seconds.`);
  return new Date(Number(epoch) * 1000);
}

/** When something that is signed now expires, as metadata spells it. */
export function expiryAfter(days: number): string {
  return new Date(currentTime().getTime() + days * 86_400_000).toISOString().replace(/\.\d+Z$/, "Z");
}
