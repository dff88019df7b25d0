/** The figures as an SVG: groups of bars, longer is better, the stream module of nginx as the line at 1. Pure. */
import { formatFigure, formatRatio } from './format.mjs';

const WIDTH = 880;
const LEFT = 210;
const UNIT_WIDTH = 170;
const MAX_RATIO = 2.5;
const TOP = 108;
const BAR = 14;
const BAR_STEP = 18;
const GROUP_GAP = 16;
const BOTTOM = 62;
/** Two lines of text stand beside a group of one bar. */
const MIN_BARS = 2;
const REFERENCE = 'nginx';
const SERIES = [
  { peer: 'lazy', label: 'lazy-proxy', color: '#2563eb' },
  { peer: 'go', label: 'Go relay', color: '#8b98a9' },
  { peer: 'haproxy', label: 'HAProxy', color: '#c9d1db' },
];

/**
 * @param {readonly object[]} rows
 * @param {string} footnote one line, such as the machine and the date.
 * @returns {string} the file's text.
 */
export function renderChart(rows, footnote) {
  const groups = rows.flatMap((row) => (row.metric.inChart ? createGroups(row) : []));
  let y = TOP;
  const drawn = groups.map((group) => {
    const text = drawGroup(group, y);
    y += Math.max(group.bars.length, MIN_BARS) * BAR_STEP + GROUP_GAP;
    return text;
  });
  const height = y + BOTTOM - GROUP_GAP;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="lazy-proxy compared with other relays" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif">
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="10" fill="#ffffff" stroke="#d8dee6"/>
<text x="24" y="36" font-size="18" font-weight="600" fill="#111827">Compared with nginx’s stream module</text>
<text x="24" y="57" font-size="13" fill="#4b5563">nginx = 1. Longer is better in every row: less time or memory makes a longer bar.</text>
${drawLegend()}
${drawScale(y - GROUP_GAP)}
${drawn.join('\n')}
<text x="24" y="${height - 18}" font-size="11" fill="#6b7280">${escapeText(footnote)}</text>
</svg>
`;
}

/** None where nginx was not measured: there is nothing to compare with. */
function createGroups({ metric, cells }) {
  const reference = cells.find(({ peer }) => peer === REFERENCE)?.median;
  if (!reference) return [];
  const bars = SERIES.flatMap((series) => {
    const cell = cells.find(({ peer }) => peer === series.peer);
    if (!cell?.median) return [];
    const ratio = metric.better === 'higher' ? cell.median / reference : reference / cell.median;
    return [{ ...series, ratio, figure: `${formatFigure(cell.median)} ${metric.unit}` }];
  });
  return [{ label: metric.label, reference: `nginx ${formatFigure(reference)} ${metric.unit}`, bars }];
}

function drawGroup({ label, reference, bars }, y) {
  const top = y + (Math.max(MIN_BARS - bars.length, 0) * BAR_STEP) / 2;
  const middle = top + (bars.length * BAR_STEP) / 2;
  return [
    `<text x="${LEFT - 14}" y="${middle - 3}" font-size="13" text-anchor="end" fill="#111827">${escapeText(label)}</text>`,
    `<text x="${LEFT - 14}" y="${middle + 12}" font-size="11" text-anchor="end" fill="#6b7280">${escapeText(reference)}</text>`,
    ...bars.map((bar, index) => drawBar(bar, top + index * BAR_STEP)),
  ].join('\n');
}

function drawBar({ ratio, figure, color, peer }, y) {
  const width = round(Math.min(ratio, MAX_RATIO) * UNIT_WIDTH);
  // A bar that is cut says so.
  const cut = ratio > MAX_RATIO ? ' ▸' : '';
  const weight = peer === SERIES[0].peer ? ' font-weight="600"' : '';
  return `<rect x="${LEFT}" y="${y + 2}" width="${width}" height="${BAR}" rx="2" fill="${color}"/>
<text x="${LEFT + width + 8}" y="${y + 13.5}" font-size="12"${weight} fill="#1f2937" stroke="#ffffff" stroke-width="3" paint-order="stroke">${formatRatio(ratio)}${cut}<tspan dx="7" font-weight="400" fill="#6b7280">${escapeText(figure)}</tspan></text>`;
}

function drawLegend() {
  return SERIES.map(({ label, color }, index) => {
    const x = LEFT + index * 120;
    return `<rect x="${x}" y="74" width="12" height="12" rx="2" fill="${color}"/><text x="${x + 18}" y="84.5" font-size="12" fill="#1f2937">${label}</text>`;
  }).join('\n');
}

function drawScale(bottom) {
  const lines = [0, 0.5, 1, 1.5, 2, 2.5].map((ratio) => {
    const x = LEFT + ratio * UNIT_WIDTH;
    const stroke = ratio === 1 ? 'stroke="#dc2626" stroke-dasharray="4 3"' : 'stroke="#edf0f4"';
    return `<line x1="${x}" x2="${x}" y1="${TOP - 6}" y2="${bottom + 4}" ${stroke}/>
<text x="${x}" y="${bottom + 18}" font-size="11" text-anchor="middle" fill="${ratio === 1 ? '#dc2626' : '#6b7280'}">${ratio === 1 ? 'nginx' : ratio}</text>`;
  });
  return lines.join('\n');
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function escapeText(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
