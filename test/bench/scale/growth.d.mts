export interface PhaseResult {
  readonly phase: string;
  /** Of all operations together; undefined where it took too long and was given up. */
  readonly ms?: number | undefined;
  readonly operations: number;
  readonly memory?: { readonly heapBytes: number; readonly privateBytes?: number | undefined };
}

export interface SizeReport {
  readonly size: number;
  readonly results: readonly PhaseResult[];
}

export interface PhaseRow {
  readonly phase: string;
  readonly cells: readonly (PhaseResult & { readonly size: number })[];
  readonly growth:
    | { readonly from: number; readonly to: number; readonly factor: number; readonly limit: number }
    | undefined;
}

export declare function compareSizes(reports: readonly SizeReport[]): readonly PhaseRow[];
export declare function findFailures(rows: readonly PhaseRow[]): readonly string[];
