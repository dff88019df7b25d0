/** The rows as tables for a terminal. Pure. */
import { isBeyond } from '../control/figures.mjs';
import { formatFigure, formatRatio } from './format.mjs';
import { REFERENCES } from './metrics.mjs';

const NAME_WIDTH = 38;
const CELL_WIDTH = 16;

/**
 * @param {readonly object[]} rows
 * @param {readonly { id: string, label: string }[]} peers the columns, in their order.
 * @returns {string[]} the lines.
 */
export function renderTable(rows, peers) {
  const parts = [...new Set(rows.map(({ metric }) => metric.part))];
  return parts.flatMap((part) => {
    const own = rows.filter(({ metric }) => metric.part === part);
    const columns = peers.filter(({ id }) => own.some(({ cells }) => cells.some(({ peer }) => peer === id)));
    const head = line(
      part,
      columns.map(({ label }) => label),
    );
    return [head, '─'.repeat(head.length), ...own.flatMap((row) => renderRow(row, columns)), ''];
  });
}

/** The rows of the control side, which has nobody to be compared with: `{ name, value, unit, budget? }`. */
export function renderControl(rows) {
  const lines = rows.map((row) => {
    const { name, value, unit, budget } = row;
    const verdict = budget === undefined ? '' : `  budget ≤ ${budget.max}: ${showVerdict(!isBeyond(row))}`;
    return `${line(`${name}, ${unit}`, [formatFigure(value)])}${verdict}`;
  });
  return rows.length === 0 ? [] : ['control', ...lines, ''];
}

function showVerdict(isMet) {
  return isMet ? '✓ met' : '✗ NOT MET';
}

function renderRow({ metric, cells, verdict }, columns) {
  const cellOf = ({ id }) => cells.find(({ peer }) => peer === id);
  const figures = columns.map((column) => showCell(cellOf(column), ({ median }) => formatFigure(median)));
  const ratios = REFERENCES.filter(({ peer }) => cells.some((cell) => cell.ratios[peer] !== undefined));
  return [
    line(`${metric.label}, ${metric.unit}`, figures),
    ...ratios.map(({ peer, label }) =>
      line(
        `  to ${label}`,
        columns.map((column) => showCell(cellOf(column), (cell) => formatRatio(cell.ratios[peer]))),
      ),
    ),
    ...(verdict === undefined ? [] : [`  budget ${verdict.budget}: ${showVerdict(verdict.isMet)}`]),
  ];
}

function showCell(cell, show) {
  return cell === undefined ? '·' : show(cell);
}

function line(name, cells) {
  return `${name.padEnd(NAME_WIDTH)}${cells.map((cell) => cell.padStart(CELL_WIDTH)).join('')}`.trimEnd();
}
