import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ENVIRONMENT_VARIABLES } from '../src/config/environment.ts';
import {
  FIELD_NAMES,
  FIELDS,
  type FieldName,
  fieldSpec,
  isDuration,
  LABEL_SUFFIXES,
  labelSuffix,
} from '../src/config/fields.ts';
import { createFileParser } from '../src/config/file.ts';
import { formatDuration } from '../src/config/values/duration.ts';
import { formatStatuses } from '../src/model/format-statuses.ts';

const text = readFileSync('README.md', 'utf8');
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** The rows of the first table below a heading, without its head; a cell is its text. */
function readTable(heading: string): readonly (readonly string[])[] {
  const lines = text.slice(text.indexOf(`\n${heading}\n`)).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  const rows = lines.slice(start, start + length).map((line) => line.split('|').slice(1, -1));
  return rows.slice(2).map((cells) => cells.map((cell) => cell.trim()));
}

function column(heading: string, index: number): string[] {
  return readTable(heading).map((cells) => cells[index] ?? '');
}

/** What stands in backticks. */
function codeOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
}

/** A built-in value as the file would have it; undefined where a field has none. */
function describeDefault(field: FieldName): string | undefined {
  const { builtIn } = fieldSpec(field);
  if (builtIn === undefined) return undefined;
  if (field === 'http_healthcheck_status') return formatStatuses(FIELDS[field].builtIn);
  if (isDuration(field)) return formatDuration(builtIn as number);
  return typeof builtIn === 'string' && builtIn !== '' ? builtIn : JSON.stringify(builtIn);
}

/** The code blocks in a language. */
function blocksOf(language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, block]) => block ?? '',
  );
}

describe('README.md', () => {
  test('has every field of a service, in order', () => {
    expect(column('### Fields of a service', 0).flatMap(codeOf)).toEqual(FIELD_NAMES);
  });

  test.each(readTable('### Fields of a service'))('is right about the field %s', (name, ...cells) => {
    const field = codeOf(name ?? '')[0] as FieldName;
    const [defaultCell = '', label = '', variable = '', inDefaults] = cells;
    const spec = fieldSpec(field);
    expect(codeOf(defaultCell)[0]).toBe(describeDefault(field));
    expect(codeOf(label)).toEqual(spec.label ? [labelSuffix(field)] : []);
    expect(codeOf(variable)).toEqual(spec.variable === undefined ? [] : [spec.variable.name]);
    expect(inDefaults).toBe(spec.inDefaults ? 'yes' : '');
  });

  test('has every label, and no other', () => {
    const labels = column('## Labels', 0).flatMap(codeOf);
    expect(labels.toSorted()).toEqual(['enabled', ...LABEL_SUFFIXES].toSorted());
  });

  test('has every environment variable, in order', () => {
    expect(column('## Environment', 0).flatMap(codeOf)).toEqual(ENVIRONMENT_VARIABLES);
  });

  test('names commands that exist', () => {
    const named = [...text.matchAll(/\bnpm (?:run )?([a-z][a-z:-]*)/g)].map(([, script]) => script);
    expect(named.length).toBeGreaterThan(3);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
  });

  test('shows configuration files that are valid', () => {
    const files = blocksOf('yaml').filter(
      (block) => /^services:/m.test(block) && !/^ +(image|volumes):/m.test(block),
    );
    expect(files.length).toBeGreaterThan(1);
    const parse = createFileParser();
    for (const file of files) expect(parse({ text: file, file: 'README.md' }).problems).toEqual([]);
  });

  test('links to its own headings and to files that exist', () => {
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(' ', '-')
        .replaceAll(/[^a-z0-9-]/g, ''),
    );
    const targets = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
    expect(targets.length).toBeGreaterThan(10);
    for (const target of targets) {
      if (target.startsWith('#')) expect(anchors).toContain(target.slice(1));
      else expect(() => readFileSync(target), target).not.toThrow();
    }
  });
});
