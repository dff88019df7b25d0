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

/** The rows of all tables below a heading such as `## Fields` and before the next one of its level; a cell is its text. */
export function readTables(page: string, heading: string): readonly (readonly string[])[] {
  return rowsOf(sectionOf(page, heading)).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The text below a heading and before the next one of its level or above. */
export function sectionOf(page: string, heading: string): string {
  const text = `\n${readPage(page)}`;
  const at = text.indexOf(`\n${heading}\n`);
  if (at === -1) throw new Error(`${page} has no heading "${heading}"`);
  const below = text.slice(at + heading.length + 1);
  const level = heading.indexOf(' ');
  const end = below.search(new RegExp(`\n#{1,${level}} `));
  return end === -1 ? below : below.slice(0, end);
}

/** The lines of tables that are neither heads nor the rules below these. */
function rowsOf(section: string): readonly string[] {
  const lines = section.split('\n');
  return lines.filter(
    (line, at) => /^\|/.test(line) && !/^\| -/.test(line) && !/^\| -/.test(lines[at + 1] ?? ''),
  );
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
