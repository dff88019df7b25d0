import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
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
import { anchorsOf, blocksOf, codeOf, linksOf, PAGES, readPage, readTable } from './support/documentation.ts';

const FIELD_TABLE = readTable('docs/configuration.md', '## Fields of a service');
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

function firstColumn(rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap(([cell = '']) => codeOf(cell));
}

/** A built-in value as the file would have it; undefined where a field has none. */
function describeDefault(field: FieldName): string | undefined {
  const { builtIn } = fieldSpec(field);
  if (builtIn === undefined) return undefined;
  if (field === 'http_healthcheck_status') return formatStatuses(FIELDS[field].builtIn);
  if (isDuration(field)) return formatDuration(builtIn as number);
  return typeof builtIn === 'string' && builtIn !== '' ? builtIn : JSON.stringify(builtIn);
}

describe('docs/configuration.md', () => {
  test('has every field of a service, in order', () => {
    expect(firstColumn(FIELD_TABLE)).toEqual(FIELD_NAMES);
  });

  test.each(FIELD_TABLE)('is right about the field %s', (name, ...cells) => {
    const field = codeOf(name ?? '')[0] as FieldName;
    const [defaultCell = '', label = '', variable = '', inDefaults] = cells;
    const spec = fieldSpec(field);
    expect(codeOf(defaultCell)[0]).toBe(describeDefault(field));
    expect(codeOf(label)).toEqual(spec.label ? [labelSuffix(field)] : []);
    expect(codeOf(variable)).toEqual(spec.variable === undefined ? [] : [spec.variable.name]);
    expect(inDefaults).toBe(spec.inDefaults ? 'yes' : '');
  });
});

describe('docs/labels.md', () => {
  test('has every label, and no other', () => {
    const labels = firstColumn(readTable('docs/labels.md', '# Labels'));
    expect(labels.toSorted()).toEqual(['enabled', ...LABEL_SUFFIXES].toSorted());
  });
});

describe('docs/environment.md', () => {
  test('has every environment variable, in order', () => {
    expect(firstColumn(readTable('docs/environment.md', '# Environment'))).toEqual(ENVIRONMENT_VARIABLES);
  });
});

describe('the documentation', () => {
  test('is linked from README.md, every page of it', () => {
    expect(linksOf('README.md')).toEqual(
      expect.arrayContaining(PAGES.filter((page) => page !== 'README.md')),
    );
  });

  test('names npm commands that exist', () => {
    const named = PAGES.flatMap((page) =>
      [...readPage(page).matchAll(/\bnpm (?:run )?([a-z][a-z:-]*)/g)].map(([, script]) => script),
    );
    expect(named.length).toBeGreaterThan(3);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
  });

  test('shows configuration files that are valid', () => {
    const files = PAGES.flatMap((page) =>
      blocksOf(page, 'yaml').map((text) => ({ text, file: page })),
    ).filter(({ text }) => /^services:/m.test(text) && !/^ +(image|volumes):/m.test(text));
    expect(files.length).toBeGreaterThan(4);
    const parse = createFileParser();
    for (const file of files) expect(parse(file).problems).toEqual([]);
  });

  test.each(PAGES)('links from %s to headings and files that exist', (page) => {
    for (const link of linksOf(page)) {
      if (/^https?:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? page : path.join(path.dirname(page), file);
      expect(existsSync(target), link).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(target), link).toContain(anchor);
    }
  });
});
