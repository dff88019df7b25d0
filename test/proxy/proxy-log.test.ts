import { expect, test } from 'vitest';
import { logReady } from '../../src/proxy/proxy-log.ts';
import { silentLogger } from '../../src/system/log/logger.ts';

test.each([
  [{ wanted: 5, bound: 5 }, 'ready: 2 services, 5 listeners, status off'],
  [{ wanted: 5, bound: 4 }, 'ready: 2 services, 4 of 5 listeners, status off'],
])('the line that says that all is up counts what is bound of %o', (listeners, line) => {
  const lines: unknown[] = [];
  const info = (fields: object, message: string) => void lines.push(fields, message);
  logReady({ services: 2, listeners, status: 'off' }, { ...silentLogger, info });
  expect(lines).toEqual([{ event: 'ready', services: 2, listeners: listeners.bound }, line]);
});
