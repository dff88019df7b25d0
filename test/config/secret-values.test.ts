import { expect, test } from 'vitest';
import { createFileParser } from '../../src/config/file.ts';
import { createCaretRenderer } from '../../src/config/yaml/render-caret.ts';
import { createSecretLines } from '../../src/config/yaml/secret-lines.ts';
import { formatProblem } from '../../src/model/problem.ts';

const parseFile = createFileParser();

function problemsOf(text: string): readonly string[] {
  return parseFile({ text, file: 'f.yaml', folder: '/' }).problems.map(formatProblem);
}

const SERVICE = 'services:\n  db:\n    command: [db]\n';

/** What may follow the keys of a service, and what is told of it; `T0KEN` stands for what is secret. */
test.each([
  ['env: A=T0KEN', '4:10 error env: the value is not a mapping; write name: value, one variable a line'],
  ['env: {"A=T0KEN": 1}', '4:10 error env: a name holds no = and no NUL character; write A: value'],
  ['env: {"\\0T0KEN": 1}', '4:10 error env: a name holds no = and no NUL character; write name: value'],
  ['env: {A: "T0KEN\\0"}', '4:14 error env.A: the value holds a NUL character'],
  ['env:\n      A: .T0KEN\n      B: [T0KEN]', '6:10 error env.B: a list is not text'],
  // What begins so needs quotes: it stands for something else in YAML.
  [
    'env:\n      A: *T0KEN',
    '5:10 error what begins with * names an anchor, and there is none of this name; write it in quotes if it is text',
  ],
  ['env:\n      A: !T0KEN', '5:10 warning not valid YAML (tag resolve failed); write text in quotes'],
  ['env:\n      A: |T0KEN', '5:11 error not valid YAML (unexpected token); write text in quotes'],
  ['env:\n      A: * T0KEN', '5:10 error not valid YAML: what begins with * needs quotes'],
  ['env:\n      pass:T0KEN\n      B: x', '5:7 error not valid YAML: a space is missing after the colon'],
  ['env:\n      -T0KEN\n      B: x', '5:7 error not valid YAML: a space is missing after the dash'],
  [
    'webhook_url: *T0KEN',
    '4:18 error what begins with * names an anchor, and there is none of this name; write it in quotes if it is text',
  ],
  [
    'command: [db, *T0KEN]',
    '4:19 error what begins with * names an anchor, and there is none of this name; write it in quotes if it is text',
  ],
  [
    'command: db --T0KEN',
    '4:14 error command: the value is not a list; write [db, …], one argument an entry',
  ],
  ['command: [db, 5, "T0KEN\\0"]', '4:19 error command[1]: a number is not text; write it in quotes'],
  ['command: [db, "T0KEN\\0"]', '4:19 error command[1]: the text holds a NUL character'],
  ['webhook_url:T0KEN', '4:5 error not valid YAML: a space is missing after the colon'],
  ['webhook_url: "x" T0KEN', '4:22 error not valid YAML (unexpected token); write text in quotes'],
])('of %j no secret is shown', (field, problem) => {
  const service = field.startsWith('command')
    ? SERVICE.replace('    command: [db]\n', '    cwd: /\n')
    : SERVICE;
  const problems = problemsOf(`${service}    ${field}\n`);
  expect(problems.join('\n')).not.toContain('T0KEN');
  expect(problems).toContain(`f.yaml:${problem}`);
});

test('a token in the place of its file is not shown', () => {
  expect(problemsOf('status: {token_file: T0KEN}\nservices: {}\n')).toEqual([
    'f.yaml:1:22 error status.token_file: what is given is not an absolute path such as /run/secrets/lazy_proxy_token',
  ]);
});

test('what stands beside a secret is shown as elsewhere', () => {
  const problems = problemsOf(`${SERVICE}    env: {A: x}\n    cron_start: *nowhere\n`);
  expect(problems).toEqual(['f.yaml:5:17 error *nowhere has no anchor; write &nowhere at an earlier value']);
});

test('a large file of wrong values below one key is read in linear time', () => {
  const lines = Array.from({ length: 20_000 }, (_, n) => `      A${n}: *T0KEN\n`).join('');
  const begunMs = performance.now();
  expect(problemsOf(`${SERVICE}    env:\n${lines}`).join('')).not.toContain('T0KEN');
  expect(performance.now() - begunMs).toBeLessThan(10_000);
});

test.each([
  ['env:\n  A: T0KEN', 2],
  ['env: { A: T0KEN }', 1],
  ['webhooks:\n  - url: https://a/b\n    headers:\n      Authorization: Bearer T0KEN', 4],
  ['webhooks:\n  - headers: { A: T0KEN }', 2],
  ['webhooks:\n  - secret: T0KEN', 2],
  ['webhooks:\n  - url: https://h/T0KEN', 2],
  ['status:\n  token: T0KEN', 2],
  ['status: { token: T0KEN }', 1],
  ['command: db --T0KEN', 1],
  ['command: [db, {a: T0KEN}]', 1],
  ['webhook_url: {a: T0KEN}', 1],
  ['webhooks:\n  - url: hooks/T0KEN', 2],
  ['docker: {socket: "user:T0KEN@host:1"}', 1],
])('the line that is shown of %j has no secret', (text, line) => {
  const [shown = '', caret] = (createCaretRenderer(text)({ line, column: 3 }) ?? '').split('\n');
  expect(shown.slice(2)).toHaveLength(text.split('\n')[line - 1]?.length ?? -1);
  expect(shown).not.toMatch(/T0KEN|Bearer/);
  expect(shown).toMatch(/^ +(- )?[a-zA-Z_]+: .*\*/);
  expect(caret).toBe('    ^');
});

test('the line of a wrong event is shown', () => {
  const text = 'webhooks:\n  - url: https://a/b\n    events: [wake_fialed]';
  expect(createCaretRenderer(text)({ line: 3, column: 14 })).toContain('events: [wake_fialed]');
});

test.each([
  ['secrte: T0KEN', 1, 'secrte: *****\n  ^'],
  ['  - "secrte": T0KEN', 5, '  - "secrte": *****\n      ^'],
  [
    'status: { tokne: T0KEN, tokken: T0KEN }',
    25,
    `status: * ****** ****** tokken: ***** *\n  ${' '.repeat(24)}^`,
  ],
])('of a key in %j that nobody knows no value is shown', (text, column, shown) => {
  expect(createCaretRenderer(text)({ line: 1, column, ofKey: true })).toBe(`  ${shown}`);
});

test.each([
  ['secret: >-\nT0KEN\n', 2],
  ['webhooks:\n  - secret: |\n        key\n   T0KEN\n', 4],
  ['docker: { socket: user:T0KEN@host }\n', 1],
])('line of %j that may hold a secret counts as one', (text, line) => {
  expect(createSecretLines(text)(line)).toBe(true);
});

test('a line below a key that is no secret counts as none', () => {
  const isSecret = createSecretLines('env: { A: x }\nports:\n  - 80\n  - 81\n');
  expect([1, 2, 3, 4].map(isSecret)).toEqual([true, false, false, false]);
});
