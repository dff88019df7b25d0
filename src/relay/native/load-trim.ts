import { createDeclare, loadKoffi } from './load-koffi.ts';

/** Makes the function that gives back what the C library has freed, in about a millisecond; it does nothing where that can't be had. */
export async function loadTrim(): Promise<() => void> {
  const load = await loadKoffi();
  if (load.kind === 'unavailable') return () => {};
  try {
    const trim = createDeclare(load.koffi)('int malloc_trim(size_t pad)');
    return () => void trim(0);
  } catch {
    // Not every C library has it.
    return () => {};
  }
}
