export interface Budget {
  /** The peer whose figure the ratio is to; absent: the figure itself counts. */
  readonly than?: string;
  readonly min?: number;
  readonly max?: number;
}

export interface Metric {
  readonly id: string;
  readonly part: string;
  readonly label: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly budget?: Budget;
  readonly inChart?: boolean;
  /** Ratios would say nothing. */
  readonly isAbsolute?: boolean;
}

export interface Measurement {
  readonly metric: string;
  readonly peer: string;
  readonly samples: readonly number[];
}

export interface Cell {
  readonly peer: string;
  readonly median: number;
  readonly samples: readonly number[];
  /** How many times the figure of each reference. */
  readonly ratios: Readonly<Record<string, number>>;
}

export interface Row {
  readonly metric: Metric;
  readonly cells: readonly Cell[];
  readonly verdict: { readonly isMet: boolean; readonly value: number; readonly budget: string } | undefined;
}

/** @throws {RangeError} where there are no values. */
export declare function medianOf(values: readonly number[]): number;
export declare function compareMeasurements(
  measurements: readonly Measurement[],
  metrics: readonly Metric[],
): Row[];
