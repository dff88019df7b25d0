/** What is measured with: time, as the best of several runs, and memory after a garbage collection. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Short runs are repeated until they have taken so long together, so that a small size is measured warm as well. */
const MIN_TOTAL_MS = 400;
const MAX_RUNS = 200;
/** The same for observations: so many at the least. */
export const MIN_OBSERVED = 30_000;

/** Of several runs the time of the best one, and what the last one returned. */
export function timeBest(run, { minRuns = 2 } = {}) {
  let bestMs = Number.POSITIVE_INFINITY;
  let totalMs = 0;
  let result;
  for (let runs = 0; runs < minRuns || (totalMs < MIN_TOTAL_MS && runs < MAX_RUNS); runs++) {
    const { ms, result: latest } = timeOnce(() => run(runs));
    result = latest;
    bestMs = Math.min(bestMs, ms);
    totalMs += ms;
  }
  return { ms: bestMs, result };
}

export function timeOnce(run) {
  const timer = startTimer();
  const result = run();
  return { ms: timer.ms(), result };
}

/**
 * Does something for each index below `count`; `ms` is undefined where it was not done within the budget.
 * @returns {{ ms: number | undefined, done: number }}
 */
export function timeEach(count, { each, budgetMs }) {
  const timer = startTimer();
  for (let index = 0; index < count; index++) {
    each(index);
    if (index % 64 === 0 && timer.ms() > budgetMs) return { ms: undefined, done: index + 1 };
  }
  return { ms: timer.ms(), done: count };
}

/** Elapsed or processor time, the smaller one: what else the machine does at the same time counts little. */
export function startTimer() {
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  return {
    ms() {
      const { user, system } = process.cpuUsage(startCpu);
      return Math.min(performance.now() - startMs, (user + system) / 1_000);
    },
  };
}

/** Bytes in use after a collection: of the heap, and, on Linux, private to the process and written to. */
export async function readMemory() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    // Freed pages are given back by another thread.
    await sleep(20);
  }
  return { heapBytes: process.memoryUsage().heapUsed, privateBytes: readPrivateDirty() };
}

function readPrivateDirty() {
  if (process.platform !== 'linux') return undefined;
  const found = /^Private_Dirty:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'));
  return found === null ? undefined : Number(found[1]) * 1_024;
}
