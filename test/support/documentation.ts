/** What people read, as text and in its parts. */
import { readdirSync, readFileSync } from 'node:fs';

/** The pages, seen from the repository's root. */
export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync('docs').flatMap((file) => (file.endsWith('.md') ? [`docs/${file}`] : [])),
];

export function readPage(page: string): string {
  return readFileSync(page, 'utf8');
}

/** The rows of the first table below a heading such as `## Fields`, without its head; a cell is its text. */
export function readTable(page: string, heading: string): readonly (readonly string[])[] {
  const text = `\n${readPage(page)}`;
  const below = text.indexOf(`\n${heading}\n`);
  if (below === -1) throw new Error(`${page} has no heading "${heading}"`);
  const lines = text.slice(below).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  const rows = lines.slice(start, start + length).map((line) => line.split('|').slice(1, -1));
  return rows.slice(2).map((cells) => cells.map((cell) => cell.trim()));
}

/** What stands in backticks. */
export function codeOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}

/** The code blocks in a language. */
export function blocksOf(page: string, language: string): string[] {
  return [...readPage(page).matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, block]) => block ?? '',
  );
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): string[] {
  const prose = readPage(page).replaceAll(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(' ', '-')
      .replaceAll(/[^a-z0-9_-]/g, ''),
  );
}

/** Where the links of a page lead, as they are written. */
export function linksOf(page: string): string[] {
  return [...readPage(page).matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
}
