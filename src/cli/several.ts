/** Lets an option be given several times. A file of its own: it is needed before any verb is known, and must cost nothing. */
export function several(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
