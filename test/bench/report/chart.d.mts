import type { Row } from './compare.mjs';

export declare function renderChart(rows: readonly Row[], footnote: string): string;
