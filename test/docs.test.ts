/** What people read: how long it may be, where it leads, and that what it names is there. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../src/cli/program.ts';
import { anchorsOf, codeBlocksOf, commandsOf, linksOf, PAGES, readPage } from './support/documentation.ts';

/** What else links to the pages, or is read as one. */
const ALL_PAGES = [...PAGES, 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'examples/README.md'];
const MAX_README_LINES = 150;
const MAX_TABLE_WIDTH = 160;
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
const program = createProgram(
  { stdout: () => {}, stderr: () => {}, env: {}, cwd: '.' } as unknown as Parameters<typeof createProgram>[0],
  () => {},
);
const ofProgram = PAGES.flatMap((page) => commandsOf(page, 'lazy-proxy'));
/** Scripts that npm has a word of its own for. */
const NPM_WORDS = ['start', 'test', 'run'];

/** What is wrong with the words behind `lazy-proxy`; undefined = nothing. */
function findMistake(args: readonly string[]): string | undefined {
  const isGlobal = args.every((arg) => ['--help', '--version'].includes(arg));
  if (isGlobal) return undefined;
  const named = args[0] ?? 'run';
  const command = program.commands.find((one) => one.name() === (named.startsWith('-') ? 'run' : named));
  if (command === undefined) return `there is no command "${named}"`;
  const words = named.startsWith('-') ? [...args] : args.slice(1);
  const operands: string[] = [];
  while (words.length > 0) {
    const word = words.shift() ?? '';
    if (word === '--help') continue;
    if (!word.startsWith('-') || word === '-') {
      operands.push(word);
      continue;
    }
    const [flag = '', inline] = word.split('=');
    const option = command.options.find(({ long, short }) => [long, short].includes(flag));
    if (option === undefined) return `${command.name()} has no option ${flag}`;
    if (!option.required) continue;
    const value = inline ?? words.shift();
    if (value === undefined) continue;
    const { argChoices } = option;
    if (argChoices !== undefined && !/^[A-Z<]/.test(value) && !argChoices.includes(value))
      return `${flag} doesn't take ${value}`;
  }
  const takesMore = command.registeredArguments.some(({ variadic }) => variadic);
  if (!takesMore && operands.length > command.registeredArguments.length)
    return `${command.name()} doesn't take ${operands.join(' ')}`;
  return undefined;
}

describe('README.md', () => {
  test(`has ${MAX_README_LINES} lines at most`, () => {
    expect(readPage('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(MAX_README_LINES);
  });

  test('links to every page', () => {
    expect(linksOf('README.md')).toEqual(
      expect.arrayContaining(PAGES.filter((page) => page !== 'README.md')),
    );
  });
});

describe('the documentation', () => {
  test.each(ALL_PAGES)('has tables in %s that are not wider than a screen', (page) => {
    const lines = readPage(page).split('\n');
    const wide = lines.flatMap((line, at) =>
      /^ *\|/.test(line) && line.length > MAX_TABLE_WIDTH
        ? [`${page}:${at + 1} has ${line.length} characters`]
        : [],
    );
    expect(wide).toEqual([]);
  });

  test.each(ALL_PAGES)('links from %s to headings and files that exist', (page) => {
    for (const link of linksOf(page)) {
      if (/^https?:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? page : path.join(path.dirname(page), file);
      expect(existsSync(target), link).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(target), link).toContain(anchor);
    }
  });

  test('names commands of the program', () => {
    expect(new Set(ofProgram.map(({ args }) => args[0])).size).toBeGreaterThan(4);
  });

  test.each(ofProgram)('names a command that exists: lazy-proxy $line at $place', ({ args }) => {
    expect(findMistake(args)).toBeUndefined();
  });

  test('names files and folders of the repository that exist', () => {
    const named = PAGES.flatMap(codeBlocksOf)
      .filter(({ language }) => ['sh', 'console'].includes(language))
      .flatMap(({ text }) => text.match(/\b(?:examples|docs|schema)\/[\w./-]+/g) ?? []);
    expect(named.length).toBeGreaterThan(1);
    for (const file of named) expect(existsSync(file), file).toBe(true);
  });

  test('names npm commands that exist', () => {
    const named = ALL_PAGES.flatMap((page) =>
      [...readPage(page).matchAll(/\bnpm (run )?([a-z][a-z:-]*)/g)].flatMap(([, isRun, word = '']) =>
        isRun !== undefined || NPM_WORDS.includes(word) ? [word] : [],
      ),
    );
    expect(named.length).toBeGreaterThan(3);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
  });
});
