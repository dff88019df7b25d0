import { expect, test } from 'vitest';
import type { ServiceTable } from '../../src/model/table.ts';
import { diffTables } from '../../src/plan/diff-tables.ts';
import { tableOf } from '../support/builders.ts';

const TEXT = `services:
  web: { ports: ["80:80"], allow_list: [10.0.0.0/8] }
  db: { ports: ["5432:5432"], idle_timeout: 5m }
`;

/** The table of another text where that of TEXT is in force, and both entries of a service. */
function reload(text: string): { readonly before: ServiceTable; readonly after: ServiceTable } {
  const before = tableOf({ text: TEXT });
  return { before, after: tableOf({ text, before }) };
}

test('the table takes an entry that says the same from the one in force', () => {
  const { before, after } = reload(TEXT.replace('5m', '6m'));
  expect(after.entries.get('web')).toBe(before.entries.get('web'));
  expect(after.entries.get('db')?.service.idleTimeoutMs).toBe(360_000);
  expect(diffTables(before, after).map(({ kind }) => kind)).toEqual(['update-service']);
});

test('the table takes a service from the one in force when it has moved in the file, with its new origins', () => {
  const { before, after } = reload(`# a line more\n${TEXT}`);
  const entry = after.entries.get('web');
  expect(entry?.service).toBe(before.entries.get('web')?.service);
  expect(entry?.origins['ports']).toMatchObject({ line: 3 });
  expect(Object.isFrozen(entry?.origins['ports'])).toBe(true);
  expect(diffTables(before, after)).toEqual([]);
});

test('the table is what it would be without one in force', () => {
  const text = TEXT.replace('db:', 'mysql:').replace('10.0.0.0', '10.1.0.0');
  expect(reload(text).after).toEqual(tableOf({ text }));
});
