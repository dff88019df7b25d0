import { Writable } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { prettyStream } from '../../../src/system/log/pretty.ts';

/** A logger as createLogger builds it, printing into `text()`. */
function captureLog(options: { readonly color: boolean; readonly time?: 'datetime' }) {
  const chunks: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  const logger = pino(
    {
      level: 'trace',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    },
    prettyStream({ time: 'time', ...options, destination }),
  );
  return { logger, text: () => chunks.join('') };
}

const TIME = String.raw`\d\d:\d\d:\d\d\.\d{3}`;

describe('pretty log', () => {
  test('prints time, level and message on one line when an event has many fields', () => {
    const { logger, text } = captureLog({ color: false });
    logger.info(
      { event: 'wake', service: 'db', client: '10.0.0.1:5', port: 80 },
      'db: waking for 10.0.0.1:5',
    );
    expect(text()).toMatch(new RegExp(`^${TIME} INFO: db: waking for 10\\.0\\.0\\.1:5\\n$`));
  });

  test('begins with date and zone when asked to', () => {
    const { logger, text } = captureLog({ color: false, time: 'datetime' });
    logger.info({}, 'ready');
    expect(text()).toMatch(new RegExp(String.raw`^\d{4}-\d\d-\d\d ${TIME} [+-]\d\d:\d\d INFO: ready\n$`));
  });

  test('prints the stack on its own lines when an error is logged at error level', () => {
    const { logger, text } = captureLog({ color: false });
    logger.error({ err: new Error('boom') }, 'cannot start');
    const lines = text().trimEnd().split('\n');
    expect(lines[0]).toMatch(/ERROR: cannot start$/);
    expect(lines[1]).toBe('    Error: boom');
    expect(lines[2]).toMatch(/^ {4} {4}at /);
  });

  test('prints the message alone when an error is logged at warn level', () => {
    const { logger, text } = captureLog({ color: false });
    logger.warn({ err: new Error('boom') }, 'webhook failed: boom');
    expect(text()).toMatch(new RegExp(`^${TIME} WARN: webhook failed: boom\\n$`));
  });

  test('prints control characters as text when a message holds them', () => {
    const { logger, text } = captureLog({ color: false });
    logger.info({}, 'a\nb\u001b[31mc');
    expect(text()).toMatch(/INFO: a\\u\{a\}b\\u\{1b\}\[31mc\n$/);
  });
});

describe('pretty log with colours', () => {
  test('marks service, network and client where the message names them', () => {
    const { logger, text } = captureLog({ color: true });
    logger.info({ service: 'web', network: 'front', client: '[::1]:9' }, 'web on front for [::1]:9');
    expect(text()).toContain(
      '\u001b[33mweb\u001b[39m on \u001b[32mfront\u001b[39m for \u001b[36m[::1]:9\u001b[39m\n',
    );
  });

  test('leaves a word alone when it only contains a value', () => {
    const { logger, text } = captureLog({ color: true });
    logger.info({ service: 'a' }, 'a was awake, a-b not');
    expect(text()).toContain('\u001b[33ma\u001b[39m was awake, a-b not\n');
  });

  test('prints the whole message red, the service still yellow, when a client is refused', () => {
    const { logger, text } = captureLog({ color: true });
    logger.warn({ service: 'web', refused: true }, 'refused web (blocked)');
    expect(text()).toContain('\u001b[31mrefused \u001b[33mweb\u001b[31m (blocked)\u001b[39m\n');
  });

  test('prints no escape code when colours are off', () => {
    const { logger, text } = captureLog({ color: false });
    logger.warn({ service: 'web', refused: true }, 'refused web (blocked)');
    expect(text()).not.toContain('\u001b');
  });
});
