/** How the measurements of one size compare with those of another. Pure. */

/**
 * Ten times the services may cost thirty times as much: the fewer of them there are, the more of them fit into the
 * processor's caches. What compares each service with all others costs a hundred times as much.
 */
const MAX_EXCESS = 3;

/** What is shorter, or smaller, at the smaller size says nothing about growth. */
const MIN_MS = 5;
const MIN_HEAP_BYTES = 2 ** 20;

/** Sizes below this are shown, and not judged: there, starting up is most of it. */
const MIN_JUDGED_SIZE = 1_000;

/**
 * One row per phase, in the order of the first size: its cells by size, and its growth between the two largest sizes at
 * which it was measured; `undefined` where there is nothing to judge.
 */
export function compareSizes(reports) {
  const phases = [...new Set(reports.flatMap(({ results }) => results.map(({ phase }) => phase)))];
  return phases.map((phase) => {
    const cells = reports.flatMap(({ size, results }) => {
      const result = results.find((candidate) => candidate.phase === phase);
      return result === undefined ? [] : [{ size, ...result }];
    });
    return { phase, cells, growth: findGrowth(cells) };
  });
}

/** A line for each row whose growth is beyond the limit, or that was given up. */
export function findFailures(rows) {
  return rows.flatMap(({ phase, cells, growth }) => {
    const givenUp = cells.find((cell) => cell.memory === undefined && cell.ms === undefined);
    if (givenUp !== undefined) {
      const { size, operations } = givenUp;
      return [`${phase}: given up with ${size} services, after ${operations}; it took too long`];
    }
    if (growth === undefined || growth.factor <= growth.limit) return [];
    const { from, to, factor, limit } = growth;
    return [
      `${phase}: ${factor.toFixed(1)} times as much from ${from} to ${to} services; the limit is ${limit}`,
    ];
  });
}

function findGrowth(cells) {
  const [smaller, larger] = cells.slice(-2);
  if (larger === undefined || smaller.size < MIN_JUDGED_SIZE) return undefined;
  const before = costOf(smaller);
  const after = costOf(larger);
  if (before === undefined || after === undefined) return undefined;
  const limit = (larger.size / smaller.size) * MAX_EXCESS;
  return { from: smaller.size, to: larger.size, factor: after / before, limit };
}

/** The cost of the whole size; undefined where it is too little to be compared, or is not known. */
function costOf({ size, ms, operations, memory }) {
  if (memory !== undefined) return memory.heapBytes < MIN_HEAP_BYTES ? undefined : memory.heapBytes;
  if (ms === undefined || ms < MIN_MS) return undefined;
  return (ms / operations) * size;
}
