import { expect, test } from 'vitest';
import { logReady } from '../../src/proxy/proxy-log.ts';
import { silentLogger } from '../../src/system/log/logger.ts';

test.each([
  [{ wanted: 5, bound: 5 }, { wanted: 0, bound: 0 }, 'ready: 2 services, 5 listeners, status off'],
  [
    { wanted: 5, bound: 4 },
    { wanted: 1, bound: 1 },
    'ready: 2 services, 4 of 5 listeners, 1 front door, status off',
  ],
  [
    { wanted: 0, bound: 0 },
    { wanted: 2, bound: 0 },
    'ready: 2 services, 0 listeners, 0 of 2 front doors, status off',
  ],
])('the line that says that all is up counts what is bound of %o and %o', (listeners, fronts, line) => {
  const lines: unknown[] = [];
  const info = (fields: object, message: string) => void lines.push(fields, message);
  logReady({ services: 2, listeners, fronts, status: 'off' }, { ...silentLogger, info });
  expect(lines).toEqual([{ event: 'ready', services: 2, listeners: listeners.bound }, line]);
});
