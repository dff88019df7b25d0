import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../src/config/file.ts';
import { findHidden, hideSecrets, isHidden, replaceHidden } from '../../src/config/secrets.ts';
import { formatProblem } from '../../src/model/problem.ts';

const MARKS = { url: 'all', headers: 'values', secret: 'all' } as const;
const HOOKS = [
  { url: 'https://a/T0KEN', headers: { Authorization: 'Bearer T0KEN' }, secret: 'T0KEN', events: ['x'] },
  { url: 'https://b/' },
];

describe('hideSecrets', () => {
  test.each([
    ['all', 'T0KEN', '***'],
    ['values', { A: 'T0KEN', B: '' }, { A: '***', B: '' }],
    ['url', 'https://u:T0KEN@h:1/p?q', 'https://h:1/***'],
    ['url', 'https://h:1', 'https://h:1'],
    ['user', 'http://u:T0/K@EN@h:1/x', 'http://***@h:1/x'],
    ['user', '/var/run/docker.sock', '/var/run/docker.sock'],
    ['arguments', ['db', '--password', 'T0KEN'], ['db', '***']],
    ['arguments', ['db'], ['db']],
    [undefined, 'plain', 'plain'],
    ['all', '', ''],
    ['all', ['T0KEN', 'T0KEN'], ['***', '***']],
    ['all', [], []],
    ['all', undefined, undefined],
  ] as const)('of %s in %j leaves %j', (mark, value, shown) => {
    expect(hideSecrets(value, mark)).toEqual(shown);
  });

  test('hides what is marked in each mapping of a list', () => {
    const shown = hideSecrets(HOOKS, MARKS);
    expect(shown).toEqual([
      { url: '***', headers: { Authorization: '***' }, secret: '***', events: ['x'] },
      { url: '***' },
    ]);
    expect([isHidden(shown), isHidden(HOOKS)]).toEqual([true, false]);
  });

  test('leaves what can be found again', () => {
    expect(findHidden(hideSecrets(HOOKS, MARKS), MARKS)).toEqual([
      [0, 'url'],
      [0, 'headers', 'Authorization'],
      [0, 'secret'],
      [1, 'url'],
    ]);
    expect(findHidden(HOOKS, MARKS)).toEqual([]);
    expect(findHidden(replaceHidden(hideSecrets(HOOKS, MARKS), { by: 'http://x/' }), MARKS)).toEqual([]);
  });
});

describe('*** in a file', () => {
  const problemsOf = (text: string) =>
    createFileParser()({ text, file: 'f.yaml', folder: '/' }).problems.map(formatProblem);
  const told = (place: string) => `f.yaml:${place}: *** stands for a hidden value; write the value itself`;

  test.each([
    ['services:\n  db:\n    webhook_url: "***"\n', '3:18 error webhook_url'],
    ['services:\n  db:\n    http_healthcheck: http://h/***\n', '3:23 error http_healthcheck'],
    ['services:\n  db:\n    command: [x]\n    env: { A: b, PASSWORD: "***" }\n', '4:28 error env.PASSWORD'],
    ['services:\n  db:\n    command: [x, "***"]\n', '3:18 error command[1]'],
    ['services:\n  db:\n    api_key: [a, "***"]\n', '3:18 error api_key[1]'],
    ['services:\n  db:\n    basic_auth: "***"\n', '3:17 error basic_auth'],
    ['defaults:\n  webhook_url: "***"\nservices: {}\n', '2:16 error defaults.webhook_url'],
    ['status: { token: "***" }\nservices: {}\n', '1:18 error status.token'],
    ['docker: { socket: "http://***@h:1" }\nservices: {}\n', '1:19 error docker.socket'],
  ])('is refused where a secret belongs: %j', (text, place) => {
    expect(problemsOf(text)).toEqual([told(place)]);
  });

  test('is refused without quotes, too', () => {
    expect(problemsOf('services:\n  db:\n    webhook_url: ***\n')).toContain(
      'f.yaml:3:18 error *** stands for a hidden value; write the value itself',
    );
  });

  test('is text like any other elsewhere', () => {
    expect(problemsOf('services:\n  db:\n    command: ["***"]\n    env: { A: "a***" }\n')).toEqual([]);
  });
});
