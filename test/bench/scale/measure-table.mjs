import { readMemory, timeBest } from './gauges.mjs';
import { createLabelled } from './sample.mjs';

const PREFIX = 'lazy-tcp-proxy';
const FLAGS = { backend: 'kubernetes' };

/** Labels → drafts → table → plan of a first start. */
export async function measureTable({ product, size, report }) {
  const snapshot = Array.from({ length: size }, (_, index) => createLabelled(index));
  const before = await readMemory();
  const drafts = timeBest(() =>
    snapshot.map((labelled) => product.parseLabels(labelled, { prefixes: [PREFIX] })),
  );
  const readings = drafts.result;
  report({ phase: 'labels → drafts', ms: drafts.ms, operations: size });
  const drafted = await readMemory();
  report({ phase: 'drafts', memory: subtract(drafted, before), operations: size });

  const built = timeBest(() => buildSampleTable(product, { readings, holders: new Map() }));
  const table = built.result;
  expectSize(table.entries.size, size);
  report({ phase: 'drafts → table', ms: built.ms, operations: size });
  report({ phase: 'table', memory: subtract(await readMemory(), drafted), operations: size });

  const diff = timeBest(() => product.diffTables(product.EMPTY_TABLE, table));
  report({ phase: 'table → plan of the start', ms: diff.ms, operations: size });
  const same = timeBest(() => product.diffTables(table, table));
  report({ phase: 'plan where nothing changed', ms: same.ms, operations: size });
  const other = buildSampleTable(product, { readings, holders: new Map(), file: createDefaults() });
  const changed = timeBest(() => product.diffTables(table, other));
  expectSize(changed.result.filter(({ kind }) => kind === 'update-service').length, size);
  report({ phase: 'plan where all services changed', ms: changed.ms, operations: size });
  return { readings, table };
}

export function buildSampleTable(product, { readings, holders, file, before }) {
  const { buildTable, EMPTY_ENVIRONMENT: environment, EMPTY_TABLE } = product;
  const table = buildTable({
    file,
    labelled: readings,
    environment,
    flags: FLAGS,
    holders,
    before: before ?? EMPTY_TABLE,
  });
  if (table.problems.length > 0) throw new Error(`the sample has a mistake: ${table.problems[0].message}`);
  return table;
}

/** A file that sets one thing for all services; every listener has to take it over. */
function createDefaults() {
  const origin = { kind: 'file', file: 'lazy-proxy.yaml', line: 1, column: 1 };
  const block_list = { value: ['10.9.9.9'], origin };
  return { file: 'lazy-proxy.yaml', services: [], defaults: { block_list }, settings: {} };
}

export function subtract(after, before) {
  const { heapBytes, privateBytes } = after;
  return {
    heapBytes: heapBytes - before.heapBytes,
    privateBytes: privateBytes === undefined ? undefined : privateBytes - before.privateBytes,
  };
}

function expectSize(actual, wanted) {
  if (actual !== wanted) throw new Error(`there are ${actual} services instead of ${wanted}`);
}
