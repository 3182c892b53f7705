/** The file system as sources see it; handed in, so that errors name files in the program's own way. */
export interface SourceFiles {
  /** Throws when it cannot be read, or is larger than any firmware. */
  read(path: string): Uint8Array;
  /** The image in a file that is no container: raw, or inside of Intel HEX or ELF. */
  readImage(path: string): Uint8Array;
  exists(path: string): boolean;
  isFolder(path: string): boolean;
  /** Names in a folder. */
  list(folder: string): string[];
  join(...parts: string[]): string;
}
