import type { Row } from './compare.mjs';

export declare function renderTable(
  rows: readonly Row[],
  peers: readonly { readonly id: string; readonly label: string }[],
): string[];

export declare function renderControl(
  rows: readonly {
    readonly name: string;
    readonly value: number;
    readonly unit: string;
    readonly budget?: { readonly max: number };
  }[],
): string[];
