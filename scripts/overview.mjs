/** `node scripts/overview.mjs`: draws docs/overview.svg, the picture at the top of the README. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const FILE = path.resolve(import.meta.dirname, '../docs/overview.svg');
const WIDTH = 820;
const HEIGHT = 230;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

const TITLE = 'lazy-proxy between a client and a sleeping container';
const DESCRIPTION =
  'A client connects to lazy-proxy and waits. lazy-proxy starts the container and lets the client through once it is ready. ' +
  'When nobody has used the container for a while, lazy-proxy stops it.';

/**
 * The card brings its own background, so that it can be read on whatever page it is shown. `paper` lies behind `ink`, `faint`
 * and `accent`; `fill` lies behind `ink` and `faint`.
 */
export const PALETTES = {
  light: {
    paper: '#ffffff',
    fill: '#f1f5f9',
    line: '#64748b',
    ink: '#0f172a',
    faint: '#475569',
    accent: '#0f6b5c',
  },
  dark: {
    paper: '#0f172a',
    fill: '#1e293b',
    line: '#94a3b8',
    ink: '#f1f5f9',
    faint: '#b6c2d1',
    accent: '#5eead4',
  },
};

const TOP = 56;
const BOX_HEIGHT = 150;
const BOXES = [
  { x: 24, width: 130, name: 'client', notes: ['psql, a browser,', 'a game …'] },
  { x: 330, width: 160, name: 'lazy-proxy', notes: ['listens on', 'the port'] },
  { x: 666, width: 130, name: 'container', notes: ['or process,', 'Deployment,', 'Swarm service'] },
];
/** From one box to the next, with its height, what it says, and at which ends it has a head. */
const ARROWS = [
  { from: 0, y: 86, text: '1 connects, and waits', heads: 'end' },
  { from: 1, y: 86, text: '2 starts it', heads: 'end' },
  { from: 0, y: 138, text: '3 bytes, both ways', heads: 'both' },
  { from: 1, y: 138, text: '3 once it is ready', heads: 'both' },
  { from: 1, y: 190, text: '4 stops it when idle', heads: 'end' },
];

/** The whole picture, as the text of the file. */
export function drawOverview() {
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title desc">`,
    `  <title id="title">${TITLE}</title>`,
    `  <desc id="desc">${DESCRIPTION}</desc>`,
    ...drawStyle(),
    `  <rect class="paper" x="1" y="1" width="${WIDTH - 2}" height="${HEIGHT - 2}" rx="14"/>`,
    ...BOXES.flatMap(drawBox),
    ...drawSleep(),
    ...ARROWS.flatMap(drawArrow),
    '</svg>',
  ].join('\n')}\n`;
}

function drawStyle() {
  const rules = ({ paper, fill, line, ink, faint, accent }) => [
    `.paper { fill: ${paper}; stroke: ${line}; stroke-opacity: 0.4; }`,
    `.box { fill: ${fill}; stroke: ${line}; stroke-width: 1.5; }`,
    `.name, .step { fill: ${ink}; }`,
    `.note { fill: ${faint}; }`,
    `.number, .sleep { fill: ${accent}; }`,
    `.arrow { stroke: ${accent}; stroke-width: 2; }`,
    `.head { fill: ${accent}; }`,
  ];
  return [
    '  <style>',
    `    text { font-family: ${FONT}; text-anchor: middle; font-size: 14px; }`,
    '    .name { font-size: 18px; font-weight: 600; }',
    '    .number, .sleep { font-weight: 700; }',
    ...rules(PALETTES.light).map((rule) => `    ${rule}`),
    '    @media (prefers-color-scheme: dark) {',
    ...rules(PALETTES.dark).map((rule) => `      ${rule}`),
    '    }',
    '  </style>',
  ];
}

function drawBox({ x, width, name, notes }) {
  const middle = x + width / 2;
  return [
    `  <rect class="box" x="${x}" y="${TOP}" width="${width}" height="${BOX_HEIGHT}" rx="10"/>`,
    `  <text class="name" x="${middle}" y="${TOP + 62}">${name}</text>`,
    ...notes.map(
      (note, line) => `  <text class="note" x="${middle}" y="${TOP + 88 + line * 19}">${note}</text>`,
    ),
  ];
}

/** Three letters that rise from the sleeping container. */
function drawSleep() {
  const { x, width } = BOXES[2];
  return [14, 18, 22].map((size, index) => {
    const place = `x="${x + width - 44 + index * 16}" y="${TOP - 8 - index * 14}"`;
    return `  <text class="sleep" ${place} style="font-size: ${size}px">z</text>`;
  });
}

function drawArrow({ from, y, text, heads }) {
  const start = BOXES[from].x + BOXES[from].width + 8;
  const end = BOXES[from + 1].x - 8;
  const [number, ...words] = text.split(' ');
  const head = (tip, back) => `  <path class="head" d="M${tip} ${y} L${back} ${y - 5} L${back} ${y + 5} Z"/>`;
  const lineStart = heads === 'both' ? start + 9 : start;
  return [
    `  <line class="arrow" x1="${lineStart}" y1="${y}" x2="${end - 9}" y2="${y}"/>`,
    head(end, end - 10),
    ...(heads === 'both' ? [head(start, start + 10)] : []),
    `  <text class="step" x="${(start + end) / 2}" y="${y - 9}"><tspan class="number">${number}</tspan> ${words.join(' ')}</text>`,
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(FILE, drawOverview());
