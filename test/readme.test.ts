import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { ENVIRONMENT_VARIABLES, FOREIGN_VARIABLES } from '../src/config/environment.ts';
import {
  FIELD_NAMES,
  FIELDS,
  type FieldName,
  fieldSpec,
  isDuration,
  LABEL_SUFFIXES,
} from '../src/config/fields.ts';
import { formatDuration } from '../src/config/values/duration.ts';
import { formatWakePaths } from '../src/config/values/web/web.ts';
import { formatStatuses } from '../src/model/text/format-statuses.ts';
import { fillPage, renderReference } from '../scripts/docs/reference.ts';
import schema from '../schema/lazy-proxy.schema.json' with { type: 'json' };
import { labelsOf } from './support/builders.ts';
import { codeOf, PAGES, readPage, readTables, sectionOf } from './support/documentation.ts';

const FIELD_ROWS = readTables('docs/configuration.md', '## Fields of a service');
const LABEL_ROWS = readTables('docs/labels.md', '# Labels');
const DESCRIPTIONS: Readonly<
  Record<string, { readonly description?: string; readonly examples?: readonly unknown[] }>
> = schema.definitions.service.properties;

function examplesOf(field: string): readonly unknown[] {
  return DESCRIPTIONS[field]?.examples ?? [];
}

function firstColumn(rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap(([cell = '']) => codeOf(cell));
}

/** A built-in value as the file would have it; undefined where a field has none. */
function describeDefault(field: FieldName): string | undefined {
  const { builtIn } = fieldSpec(field);
  if (builtIn === undefined) return undefined;
  if (field === 'http_healthcheck_status') return formatStatuses(FIELDS[field].builtIn);
  if (field === 'tls') return 'false';
  if (field === 'idle_ignore_below') return '0';
  if (field === 'waiting_page') return FIELDS[field].builtIn.kind;
  if (field === 'wake_paths') return `[${formatWakePaths(FIELDS[field].builtIn).join()}]`;
  if (isDuration(field) && typeof builtIn === 'number') return formatDuration(builtIn);
  return typeof builtIn === 'string' && builtIn !== '' ? builtIn : JSON.stringify(builtIn);
}

describe('the reference', () => {
  test.each(PAGES)('in %s is current (if not: npm run docs)', (page) => {
    const text = readPage(page);
    expect(text).toBe(fillPage(text, renderReference()));
  });

  test('is in every page that has to have it', () => {
    const markers = PAGES.flatMap((page) =>
      [...readPage(page).matchAll(/^<!-- generated: ([a-z]+) -->$/gm)].map(([, name]) => name),
    );
    expect(markers.toSorted()).toEqual(Object.keys(renderReference()).toSorted());
  });
});

describe('docs/configuration.md', () => {
  test('has every field of a service, in order', () => {
    expect(firstColumn(FIELD_ROWS)).toEqual(FIELD_NAMES);
  });

  test.each(FIELD_ROWS)('is right about the field %s', (name, ...cells) => {
    const field = codeOf(name ?? '')[0] as FieldName;
    const [defaultCell = '', label, inDefaults] = cells;
    const spec = fieldSpec(field);
    expect(codeOf(defaultCell)[0]).toBe(describeDefault(field));
    expect(label).toBe(spec.label ? 'yes' : '');
    expect(inDefaults).toBe(spec.inDefaults ? 'yes' : '');
    if (spec.variable !== undefined)
      expect(sectionOf('docs/configuration.md', '## Fields of a service')).toContain(
        `Default: \`${spec.variable.name}\``,
      );
  });

  test.each(FIELD_NAMES)('tells the default of %s in the description that editors show', (field) => {
    const shown = describeDefault(field);
    if (shown === undefined || ['[]', '{}', '""'].includes(shown)) return;
    const [, last] = /Default: (.*)\.$/.exec(DESCRIPTIONS[field]?.description ?? '') ?? [];
    expect(last?.split(/[ ,]+/)).toContain(shown);
  });
});

describe('docs/labels.md', () => {
  test('has every label, and no other', () => {
    const [inSeconds = ''] =
      /^These take a bare number of seconds.*?\.$/ms.exec(readPage('docs/labels.md')) ?? [];
    const labels = [
      ...firstColumn(LABEL_ROWS),
      ...codeOf(inSeconds).filter((word) => word.endsWith('-secs')),
    ];
    expect(labels.toSorted()).toEqual(['enabled', ...LABEL_SUFFIXES].toSorted());
  });

  test.each(LABEL_ROWS)('gives an example of the label %s that counts', (label, example) => {
    const [suffix = '', value = ''] = [...codeOf(label ?? ''), ...codeOf(example ?? '')];
    const isCut = value.endsWith('…');
    const [[whole = ''] = []] = isCut
      ? (examplesOf(suffix.replaceAll('-', '_')) as readonly string[][])
      : [[value]];
    expect(isCut ? `${whole.slice(0, value.length - 1)}…` : whole).toBe(value);
    const reading = labelsOf('db', { [suffix]: whole });
    expect(reading.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});

describe('docs/environment.md', () => {
  test('has every environment variable, in order', () => {
    expect(firstColumn(readTables('docs/environment.md', '# Environment'))).toEqual(ENVIRONMENT_VARIABLES);
  });
});

describe('docs/migrate-from-lazy-tcp-proxy.md', () => {
  const page = 'docs/migrate-from-lazy-tcp-proxy.md';
  const differences = readTables(page, '## What differs');

  test('has every variable that does nothing, and what to do instead', () => {
    const rows = readTables(page, '## Variables that do nothing');
    expect(rows.map(([name = '', instead]) => [codeOf(name)[0], instead])).toEqual([...FOREIGN_VARIABLES]);
  });

  test.each([
    ['one wrong entry among good `ports`', { ports: '80:80,x,81:81' }],
    ['an idle timeout below 0', { ports: '80:80', 'idle-timeout-secs': '-1' }],
    ['`start-timeout-secs=0`', { ports: '80:80', 'start-timeout-secs': '0' }],
  ])('is right about %s, which refuses the container', (what, labels) => {
    const row = differences.find(([cell]) => cell === what);
    expect(row?.[2]).toContain('refused');
    expect(labelsOf('db', labels as Record<string, string>).kind).toBe('refused');
  });

  test('tells the rights that the example gives', () => {
    const told = readTables(page, '## Rights in Kubernetes').flatMap(([group, resources = '', verbs = '']) =>
      codeOf(resources).map((resource) => [group?.replaceAll('`', ''), resource, codeOf(verbs)]),
    );
    const given = ['cluster-role', 'role'].flatMap((name) => {
      const { rules } = parseYaml(readPage(`examples/kubernetes/${name}.yaml`)) as {
        readonly rules: readonly Readonly<Record<'apiGroups' | 'resources' | 'verbs', readonly string[]>>[];
      };
      return rules.flatMap(({ apiGroups: [group = ''], resources, verbs }) =>
        resources.map((resource) => [group === '' ? '""' : group, resource, verbs]),
      );
    });
    expect(told.map((row) => JSON.stringify(row)).toSorted()).toEqual(
      given.map((row) => JSON.stringify(row)).toSorted(),
    );
  });
});
