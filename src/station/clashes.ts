/** Where a board was found before it was opened, and what it shows of itself. */
export interface FoundBoard {
  readonly name: string;
  /** What only one board can have: the path of its port, its flash file, host and port. Absent: nobody can say. */
  readonly place?: string;
  /** Absent: it shows none. */
  readonly serialNumber?: string;
}

/** Two names that cannot both be told apart by what they show. */
export interface Clash {
  readonly names: readonly [string, string];
  /** `same-place`: two names for one board. `same-serial`: two boards that show one serial number. */
  readonly kind: "same-place" | "same-serial";
  /** The place or the serial number that they have in common. */
  readonly what: string;
}

/**
 * Every pair of boards that could be taken for each other, each pair once. A board clashes with the first of its
 * kind.
 *
 * @param boards - with what is known of each
 * @returns names of both, and what they share
 */
export function findClashes(boards: readonly FoundBoard[]): Clash[] {
  return boards.flatMap((board, index): Clash[] => {
    const before = boards.slice(0, index);
    const { name, place, serialNumber } = board;
    const twin = place === undefined ? undefined : before.find((other) => other.place === place);
    if (twin && place !== undefined) return [{ names: [twin.name, name], kind: "same-place", what: place }];
    if (serialNumber === undefined) return [];
    const double = before.find((other) => other.serialNumber === serialNumber);
    return double ? [{ names: [double.name, name], kind: "same-serial", what: serialNumber }] : [];
  });
}
