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

/** Where the links of a page lead, as they are written; a label that the page doesn't define is its own target. */
export function linksOf(page: string): string[] {
  const prose = readPage(page).replaceAll(/^( *)```.*?^\1```$/gms, '');
  const defined = new Map(
    [...prose.matchAll(/^\[([^\]]+)\]: (\S+)$/gm)].map(([, label = '', target = '']) => [label, target]),
  );
  const inline = [...prose.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
  const byLabel = [...prose.matchAll(/\]\[([^\]]+)\]/g)].map(([, label = '']) => defined.get(label) ?? label);
  return [...inline, ...byLabel];
}

/** A fenced block. */
export interface CodeBlock {
  readonly language: string;
  readonly text: string;
  /** Where it begins, such as `docs/docker.md:12`. */
  readonly place: string;
}

/** Every fenced block of a page, also those that are indented. */
export function codeBlocksOf(page: string): readonly CodeBlock[] {
  const text = readPage(page);
  return [...text.matchAll(/^( *)```([a-z]*)\n(.*?)^\1```$/gms)].map((match) => {
    const [, indent = '', language = '', body = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    const lines = body.split('\n').map((one) => (one.startsWith(indent) ? one.slice(indent.length) : one));
    return { language, text: lines.join('\n'), place: `${page}:${line}` };
  });
}

/** A call of a program that a page names. */
export interface Command {
  /** As one reads it, without the program's name. */
  readonly line: string;
  /** The words behind the program's name. */
  readonly args: readonly string[];
  readonly place: string;
}

/**
 * Every call of a program: in a shell block at the beginning of a command, in a container or after its options, and in
 * the text in backticks, such as `lazy-proxy validate`. What stands behind an operator of the shell is not of it.
 */
export function commandsOf(page: string, program: string): readonly Command[] {
  const blocks = codeBlocksOf(page);
  const shell = blocks.flatMap(({ language, text, place }) => {
    if (language === 'sh') return text.split('\n').map((line) => ({ line, place }));
    if (language !== 'console') return [];
    return text
      .split('\n')
      .flatMap((line) => (line.startsWith('$ ') ? [{ line: line.slice(2), place }] : []));
  });
  const prose = readPage(page).replaceAll(/^( *)```.*?^\1```$/gms, '');
  const inline = [...prose.matchAll(/`([^`\n]+)`/g)].flatMap(([, code = '']) =>
    code.startsWith(`${program} `) ? [{ line: code, place: page }] : [],
  );
  return [...shell, ...inline].flatMap(({ line, place }) =>
    splitCommands(line).flatMap((words) => {
      const at = words.indexOf(program);
      if (at === -1 || isOnlyNamed(words, at)) return [];
      const args = words.slice(at + 1);
      return [{ line: args.join(' '), args, place }];
    }),
  );
}

/** The words of each command of a line; redirections and comments are left out. */
function splitCommands(line: string): readonly (readonly string[])[] {
  const withoutComment = line.replace(/(^|\s)#.*$/, '');
  return withoutComment.split(/\||&&|;/).map((command) =>
    command
      .trim()
      // Variables of this command alone.
      .replace(/^([A-Z_]+=\S* +)+/, '')
      .replace(/[<>].*$/, '')
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '')
      .map((word) => word.replaceAll(/^["']|["']$/g, '')),
  );
}

/** `docker build -t lazy-proxy .` names an image and `docker exec proxy lazy-proxy …` a program. */
function isOnlyNamed(words: readonly string[], at: number): boolean {
  const [tool, verb] = words;
  if (at === 0) return false;
  if (tool === 'npx' || tool === 'exec') return false;
  return tool !== 'docker' || !['run', 'exec'].includes(verb === 'compose' ? (words[2] ?? '') : (verb ?? ''));
}
