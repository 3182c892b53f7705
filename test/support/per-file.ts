/**
 * What a support module makes once for a test file, such as a folder or a process. Test files share processes
 * (vitest.config.ts), so a hook at the top of such a module would belong to the first file only.
 */
const removals = new Set<() => void>();

/**
 * @param make - called at the first use in each test file
 * @param remove - called at the end of each test file that used it
 */
export function perFile<Made>(make: () => Made, remove: (made: Made) => void): () => Made {
  let kept: { readonly made: Made } | undefined;
  return () => {
    if (kept === undefined) {
      const made = make();
      kept = { made };
      removals.add(() => {
        kept = undefined;
        remove(made);
      });
    }
    return kept.made;
  };
}

/** At the end of a test file. */
export function removePerFile(): void {
  const ending = [...removals];
  removals.clear();
  for (const end of ending) end();
}
