import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EMPTY_ENVIRONMENT } from '../../src/config/environment.ts';
import { createFileParser } from '../../src/config/file.ts';
import { parseApart } from '../../src/sources/parse-apart.ts';
import { systemClock } from '../../src/system/clock.ts';

// Too long to be parsed on the spot.
const text = readFileSync('lazy-proxy.yaml.example', 'utf8');
const layers = { environment: EMPTY_ENVIRONMENT, flags: { backend: 'kubernetes' } } as const;

test.each([
  ['good', text],
  ['broken', 'services: { a: { ports: [x], cron_start: 1 } }\n<: ['],
  ['wrong', 'services: { a: { ports: [x], cron_start: 1, y: 2 } }'],
])('what a %s file says survives the way between processes', (_kind, content) => {
  const parsed = createFileParser(layers)({ text: content, file: 'f', folder: '/srv' });
  expect(structuredClone(parsed)).toStrictEqual(parsed);
});

test('a file is parsed here when no process can be had', async () => {
  // Beside the source there is no program that could be run.
  const input = { text, file: 'f', folder: '/srv' };
  const options = { signal: new AbortController().signal, clock: systemClock };
  expect(await parseApart({ input, layers }, options)).toStrictEqual(createFileParser(layers)(input));
});
