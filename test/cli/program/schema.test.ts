import { readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { SCHEMA_OPTIONS } from '../../../src/config/checks/schema-options.ts';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

test('lazy-proxy schema prints the file that editors and the program validate with', async () => {
  const cwd = await createFolder();
  const { status, stdout, stderr } = await runProgram(['schema'], { cwd });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toBe(await readFile('schema/lazy-proxy.schema.json', 'utf8'));
});

test('lazy-proxy schema needs no address to be used', async () => {
  const { stdout } = await runProgram(['schema']);
  const schema = JSON.parse(stdout);
  // A name, and no place: an editor must not look for it in a network.
  expect(schema.$id).toMatch(/^urn:lazy-proxy:/);
  const elsewhere = [...stdout.matchAll(/"\$ref": "([^"]+)"/g)].filter(
    ([, target]) => !target?.startsWith('#'),
  );
  expect(elsewhere).toEqual([]);
  const isValid = new Ajv(SCHEMA_OPTIONS).compile(schema);
  expect(isValid({ services: { db: { ports: ['5432:5432'] } } })).toBe(true);
  expect(isValid({ services: { db: { port: ['5432:5432'] } } })).toBe(false);
});
