import type { Metric } from './compare.mjs';

export declare const METRICS: readonly Metric[];
