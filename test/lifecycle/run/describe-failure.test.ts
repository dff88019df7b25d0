import { expect, test } from 'vitest';
import { adviseOnFailure, describeFailure } from '../../../src/lifecycle/run/describe-failure.ts';

const failure = (fields: Readonly<Record<string, unknown>>) => Object.assign(new Error('raw words'), fields);
const at = { address: '172.18.0.3', port: 81 };

test.each([
  [failure({ code: 'ECONNREFUSED', ...at }), 'connection refused at 172.18.0.3:81'],
  [failure({ code: 'ECONNREFUSED', address: 'fd00::3', port: 81 }), 'connection refused at [fd00::3]:81'],
  [failure({ code: 'EHOSTUNREACH', ...at }), 'no way to 172.18.0.3:81 (EHOSTUNREACH)'],
  [failure({ code: 'ETIMEDOUT', ...at }), 'no answer from 172.18.0.3:81'],
  [failure({ code: 'ECONNRESET', ...at }), 'connection reset by 172.18.0.3:81'],
  [failure({ code: 'ENOTFOUND', hostname: 'web' }), 'no address is known for the name "web"'],
  [failure({ code: 'EMFILE' }), 'the proxy itself has no descriptor left for it (EMFILE)'],
  [failure({ code: 'EPROTO' }), 'raw words'],
  ['no error', 'no error'],
])('describeFailure tells %s as "%s"', (error, words) => {
  expect(describeFailure(error)).toBe(words);
});

test('describeFailure tells what several addresses said, equal words once', () => {
  const refused = (address: string) => failure({ code: 'ECONNREFUSED', address, port: 81 });
  const errors = new AggregateError([refused('10.0.0.1'), refused('10.0.0.2'), refused('10.0.0.1')]);
  expect(describeFailure(errors)).toBe(
    'connection refused at 10.0.0.1:81, connection refused at 10.0.0.2:81',
  );
});

const said = (code: string) => `not ready within 4000 ms: ${describeFailure(failure({ code, ...at }))}`;

test.each([
  [said('ECONNREFUSED'), 'its target port'],
  [said('EHOSTUNREACH'), 'share a network'],
  [said('ETIMEDOUT'), 'share a network'],
  ['exit code 3', 'what it printed'],
  ['killed by SIGKILL (exit code 137)', 'what it printed'],
  ['killed, out of memory (exit code 137)', 'more memory'],
  ['not ready within 4000 ms: its health check has not passed yet', 'start_timeout'],
])('adviseOnFailure says what to look at after "%s"', (reason, words) => {
  expect(adviseOnFailure(reason)).toContain(words);
});

test('adviseOnFailure says nothing where the reason says what to do', () => {
  expect(adviseOnFailure('container db does not exist (docker compose create makes it)')).toBeUndefined();
});
