import type { PhaseResult } from './growth.mjs';

export function measureSize(options: {
  readonly product: Readonly<Record<string, unknown>>;
  readonly size: number;
}): Promise<PhaseResult[]>;
