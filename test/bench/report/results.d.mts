import type { Measurement, Row } from './compare.mjs';

export interface ControlRow {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

export interface Results {
  readonly metrics: readonly object[];
  readonly control?: readonly ControlRow[];
}

export declare function createResults(parts: {
  readonly rows: readonly Row[];
  readonly controlRows: readonly ControlRow[];
  readonly peers: readonly { readonly id: string; readonly label: string }[];
  readonly about: object;
}): Results;
export declare function readMeasured(
  results: Results,
  without: readonly string[],
): (Measurement | (ControlRow & { readonly kind: 'control' }))[];
