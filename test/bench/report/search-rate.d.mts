export type RateResult =
  | { readonly kind: 'passed' | 'limit'; readonly perSecond: number }
  | { readonly kind: 'lossy' };

/** The highest figure measured on the way to the highest rate that passes; 0 where every rate failed. */
export declare function searchRate(
  measureAt: (rate: number) => Promise<RateResult>,
  options: { readonly first: number; readonly steps: number },
): Promise<number>;
