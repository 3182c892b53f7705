/** Where a run of imgtool speaks. */
export interface ImgtoolIo {
  out(text: string | Uint8Array): void;
  err(text: string): void;
}
