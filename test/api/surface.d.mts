export interface Exported {
  readonly name: string;
  readonly line: string;
  readonly isFunction: boolean;
  /** Of a function: names of its parameters, undefined for one that is taken apart. */
  readonly parameters: readonly (string | undefined)[];
  /** Of a function: it gives something back. */
  readonly returnsSomething: boolean;
  readonly docs: string;
  readonly tags: readonly { readonly name: string; readonly text: string }[];
}

export interface Surface {
  readonly name: string;
  readonly exports: readonly Exported[];
}

export const root: string;
export function surfaces(): Surface[];
export function listOf(surface: Surface): string;
export function fileOf(surface: Surface): string;
