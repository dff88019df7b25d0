/** Measurements as rows of a table. Pure. */
import { median } from './figures.mjs';

const BUDGET_SIZE = 1_000;
const START_BUDGET = { max: 3_000, unit: 'ms' };
const RELOAD_BUDGET = { max: 50, unit: 'ms' };

/**
 * For each service, ten times the services may cost twice as much: the fewer of them there are, the more of them fit into
 * the processor's caches. What compares each service with all others costs ten times as much.
 */
const GROWTH_BUDGET = { max: 2, unit: '×' };

/** Costs below these say nothing about growth. */
const MIN_START_MS = 200;
const MIN_RELOAD_MS = 20;

/** Rows of files; `single` is one with a single service, whose start is the program's own and whose reload is a wait. */
export function rowsOfFiles({ single, files }) {
  const costs = files.map((file) => summarize(file, single.startMs));
  return [
    { name: 'file, 1 service: start', value: single.startMs, unit: 'ms' },
    { name: 'file, 1 service: reload, of which all is waiting', value: reloadMs(single), unit: 'ms' },
    ...costs.flatMap(rowsOfFile),
    ...costs.slice(1).flatMap((cost, index) => rowsOfGrowth(costs[index], cost)),
  ];
}

function summarize({ size, startMs, reloads, scrapes }, emptyMs) {
  return {
    scrapeMs: median(scrapes.map(({ cpuMs }) => cpuMs)),
    scrapeStallMs: median(scrapes.map(({ stallMs }) => stallMs)),
    ...{ size, startMs, startCostMs: startMs - emptyMs },
    ...{ reloadMs: reloadMs({ reloads }), firstWorkMs: reloads[0].cpuMs },
    workMs: median(reloads.map(({ cpuMs }) => cpuMs)),
    stallMs: median(reloads.map(({ stallMs }) => stallMs)),
  };
}

function reloadMs({ reloads }) {
  return median(reloads.map(({ ms }) => ms));
}

function rowsOfFile({ size, ...cost }) {
  const name = `file, ${size.toLocaleString('en')} services, ${(2 * size).toLocaleString('en')} listeners`;
  const isJudged = size === BUDGET_SIZE;
  const start = isJudged ? { budget: START_BUDGET } : {};
  const reload = isJudged ? { budget: RELOAD_BUDGET } : {};
  return [
    { name: `${name}: start`, value: cost.startMs, unit: 'ms', ...start },
    { name: `${name}: reload, until it is in force`, value: cost.reloadMs, unit: 'ms' },
    { name: `${name}: reload, processor time`, value: cost.workMs, unit: 'ms', ...reload },
    { name: `${name}: reload, processor time of the first`, value: cost.firstWorkMs, unit: 'ms', ...reload },
    { name: `${name}: reload, longest stall`, value: cost.stallMs, unit: 'ms' },
    { name: `${name}: scrape of the metrics, processor time`, value: cost.scrapeMs, unit: 'ms' },
    { name: `${name}: scrape, longest stall`, value: cost.scrapeStallMs, unit: 'ms' },
  ];
}

function rowsOfGrowth(smaller, larger) {
  const sizes = `${smaller.size.toLocaleString('en')} → ${larger.size.toLocaleString('en')} services`;
  const ratio = (key) => larger[key] / larger.size / (smaller[key] / smaller.size);
  const rows = [];
  const add = (name, { key, minMs }) => {
    if (smaller[key] < minMs) return;
    rows.push({ name: `${sizes}: ${name}, each`, value: ratio(key), unit: '×', budget: GROWTH_BUDGET });
  };
  add('start', { key: 'startCostMs', minMs: MIN_START_MS });
  add('reload', { key: 'workMs', minMs: MIN_RELOAD_MS });
  return rows;
}

/** Rows of labelled containers and of the storm over them. */
export function rowsOfLabels(labels, events) {
  return labels.flatMap(({ size, startMs, storm }) => {
    const name = `${size.toLocaleString('en')} labelled containers`;
    const stormName = `${name}, ${events.toLocaleString('en')} events in 1 s`;
    return [
      { name: `${name}: start`, value: startMs, unit: 'ms' },
      { name: `${stormName}: caught up after`, value: storm.caughtUpMs, unit: 'ms' },
      { name: `${stormName}: longest stall`, value: storm.stallMs, unit: 'ms' },
      { name: `${stormName}: processor time`, value: storm.cpuMs, unit: 'ms' },
      {
        name: `${stormName}: engine calls`,
        value: storm.calls,
        unit: '',
        budget: { max: events / 2, unit: '' },
      },
    ];
  });
}
