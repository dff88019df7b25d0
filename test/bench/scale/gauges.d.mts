export const MIN_OBSERVED: number;
export function timeBest<T>(
  run: (runs: number) => T,
  options?: { readonly minRuns?: number },
): { readonly ms: number; readonly result: T };
export function timeOnce<T>(run: () => T): { readonly ms: number; readonly result: T };
export function readMemory(): Promise<{ readonly heapBytes: number; readonly privateBytes: number }>;
