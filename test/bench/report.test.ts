import { describe, expect, test } from 'vitest';
import { renderChart } from './report/chart.mjs';
import { compareMeasurements } from './report/compare.mjs';
import { formatFigure } from './report/format.mjs';
import { METRICS } from './report/metrics.mjs';
import { createResults, readMeasured } from './report/results.mjs';
import { renderControl, renderTable } from './report/table.mjs';

/** Rows as a run makes them: bulk and memory, ours half as good as nginx's. */
const ROWS = compareMeasurements(
  [
    { metric: 'throughput-1', peer: 'lazy', samples: [4, 5, 6] },
    { metric: 'throughput-1', peer: 'nginx', samples: [10] },
    { metric: 'throughput-1', peer: 'go', samples: [20] },
    { metric: 'cpu-1', peer: 'lazy', samples: [0.5] },
    { metric: 'cpu-1', peer: 'nginx', samples: [0.25] },
  ],
  METRICS,
);
const PEERS = [
  { id: 'lazy', label: 'lazy-proxy' },
  { id: 'nginx', label: 'nginx stream' },
  { id: 'go', label: 'Go relay' },
];

test('each metric has an id of its own', () => {
  expect(new Set(METRICS.map(({ id }) => id)).size).toBe(METRICS.length);
});

test.each([
  [12_345.6, '12,346'],
  [99.94, '99.9'],
  [1.234, '1.23'],
  [0.01234, '0.012'],
  [0, '0'],
  [-5.456, '-5.46'],
])('figure %d is shown as %s', (value, text) => {
  expect(formatFigure(value)).toBe(text);
});

describe('table', () => {
  const lines = renderTable(ROWS, PEERS).map((line) => line.replaceAll(/ {2,}/g, '|'));

  test('has the figures and the ratios of all peers', () => {
    expect(lines).toContain('throughput, 1 stream, Gbit/s|5.00|10.0|20.0');
    expect(lines).toContain('|to Go relay|0.25 ×|0.50 ×|1.00 ×');
  });

  test('says whether the budget is kept', () => {
    expect(lines).toContain('|budget ≥ 1 × Go relay: ✗ NOT MET');
  });

  test('marks what a peer was not measured for', () => {
    expect(lines).toContain('processor time, 1 stream, s/GB|0.500|0.250|·');
  });

  test('shows the control side with its budget when it has one', () => {
    const rows = [
      { name: 'start', value: 2.5, unit: 's', budget: { max: 3 } },
      { name: 'idle', value: 1, unit: 's' },
    ];
    const shown = renderControl(rows).map((line) => line.replaceAll(/ {2,}/g, '|'));
    expect(shown).toEqual(['control', 'start, s|2.50|budget ≤ 3: ✓ met', 'idle, s|1.00', '']);
  });
});

describe('results', () => {
  const results = createResults({
    rows: ROWS,
    controlRows: [{ name: 'start', value: 1, unit: 's' }],
    peers: PEERS,
    about: {},
  });

  test('are read back as they were measured', () => {
    const measured = readMeasured(results, ['control']).filter((one) => 'samples' in one);
    expect(compareMeasurements(measured, METRICS)).toEqual(ROWS);
  });

  test('are read back without the parts that were measured anew', () => {
    expect(readMeasured(results, ['bulk'])).toEqual([
      { kind: 'control', name: 'start', value: 1, unit: 's' },
    ]);
  });
});

describe('chart', () => {
  const chart = renderChart(ROWS, 'a < b & c');
  /** Widths of our own bars. */
  const widths = [...chart.matchAll(/width="([\d.]+)" height="14" rx="2" fill="#2563eb"/g)].map((match) =>
    Number(match[1]),
  );

  test('makes the same bar for half the speed and for twice the processor time', () => {
    expect(widths).toHaveLength(2);
    expect(widths[0]).toBe(widths[1]);
  });

  test('escapes what it is told', () => {
    expect(chart).toContain('a &lt; b &amp; c');
  });

  test('leaves out a group when nginx was not measured', () => {
    const alone = compareMeasurements([{ metric: 'cpu-1', peer: 'lazy', samples: [1] }], METRICS);
    expect(renderChart(alone, '')).not.toContain('processor time');
  });
});
