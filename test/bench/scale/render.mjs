/** The measurements as tables for a terminal. Pure. */

const NAME_WIDTH = 34;
const CELL_WIDTH = 13;

const MIB = 2 ** 20;
const KIB = 2 ** 10;

export function renderRows(rows, sizes) {
  const times = rows.filter(({ cells }) => cells[0].memory === undefined);
  const memories = rows.filter(({ cells }) => cells[0].memory !== undefined);
  const cost = ({ ms, operations, size }) => (ms / operations) * size;
  return [
    ...head('time, ms for all services', sizes, 'µs each'),
    ...times.map((row) => line(row, { sizes, show: (cell) => formatCost(cost(cell)), last: formatEach })),
    '',
    ...head('events per second', sizes),
    ...times
      .filter(({ phase }) => /^(observation|lease)/.test(phase))
      .map((row) => line({ ...row, growth: undefined }, { sizes, show: formatRate })),
    '',
    ...head('private memory, MiB (heap)', sizes, 'KiB each'),
    ...memories.map((row) => line(row, { sizes, show: formatMemory, last: formatMemoryEach })),
  ];
}

function head(title, sizes, each = '') {
  const cells = sizes.map((size) => size.toLocaleString('en').padStart(CELL_WIDTH));
  const growth = each === '' ? '' : 'growth'.padStart(CELL_WIDTH);
  return [`${title.padEnd(NAME_WIDTH)}${cells.join('')}${each.padStart(CELL_WIDTH)}${growth}`.trimEnd()];
}

function line({ phase, cells, growth }, { sizes, show, last }) {
  const shown = sizes.map((size) => {
    const cell = cells.find((candidate) => candidate.size === size);
    if (cell === undefined) return '·';
    return cell.memory === undefined && cell.ms === undefined ? 'given up' : show(cell);
  });
  const each = last === undefined ? '' : last(cells.at(-1));
  const grown = growth === undefined ? '' : `× ${growth.factor.toFixed(1)}`;
  const columns = [...shown, each, grown].map((text) => text.padStart(CELL_WIDTH));
  return `${phase.padEnd(NAME_WIDTH)}${columns.join('')}`.trimEnd();
}

function formatCost(ms) {
  return ms.toFixed(ms < 10 ? 2 : 0);
}

function formatEach({ ms, operations }) {
  return ms === undefined ? '' : ((ms * 1_000) / operations).toFixed(1);
}

function formatRate({ ms, operations }) {
  return Math.round((operations / ms) * 1_000).toLocaleString('en');
}

function formatMemory({ memory: { heapBytes, privateBytes } }) {
  const heap = `(${(heapBytes / MIB).toFixed(1)})`;
  return privateBytes === undefined ? heap : `${(privateBytes / MIB).toFixed(0)} ${heap}`;
}

function formatMemoryEach({ memory: { heapBytes }, operations }) {
  return (heapBytes / KIB / operations).toFixed(1);
}
