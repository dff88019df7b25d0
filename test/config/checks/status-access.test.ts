import { describe, expect, test } from 'vitest';
import { parseEnvironment } from '../../../src/config/environment.ts';
import { createFileParser } from '../../../src/config/file.ts';
import { formatProblem } from '../../../src/model/problem.ts';

const problemsOf = (status: string, env: Readonly<Record<string, string>> = {}) => {
  const { environment } = parseEnvironment(env);
  const parse = createFileParser({ environment, flags: {} });
  const { problems } = parse({ text: `status:\n${status}services: {}\n`, file: 'f.yaml' });
  return problems.map(formatProblem);
};

describe('who may ask the status server', () => {
  test.each([
    ['  token: abc\n', {}],
    ['  token: ""\n  token_file: /run/token\n', {}],
    ['  token: abc\n  token_file: ""\n', {}],
    ['  token: ""\n', { LAZY_PROXY_TOKEN: 'abc' }],
    ['  token: abc\n', { LAZY_PROXY_TOKEN: ' ' }],
    ['  protect: true\n', { LAZY_PROXY_TOKEN: 'abc' }],
    ['  protect: true\n  token_file: /run/token\n', {}],
    ['  allowed_hosts: [Proxy.Example.com, box]\n  show_output: true\n', {}],
  ])('takes %j with %j', (status, env) => {
    expect(problemsOf(status, env)).toEqual([]);
  });

  test.each([
    [
      '  token: abc\n  token_file: /run/token\n',
      {},
      'f.yaml:3:3 error status.token_file: status.token is set, too; keep one of them',
    ],
    [
      '  token: abc\n',
      { LAZY_PROXY_TOKEN: 'abc' },
      'f.yaml:2:3 error status.token: LAZY_PROXY_TOKEN is set, too; keep one of them',
    ],
    [
      '  protect: true\n',
      {},
      'f.yaml:2:12 error status.protect: true asks everybody for a token, and there is none: set status.token, status.token_file or LAZY_PROXY_TOKEN',
    ],
    [
      '  token_file: token\n',
      {},
      'f.yaml:2:15 error status.token_file: what is given is not an absolute path such as /run/secrets/lazy_proxy_token',
    ],
    [
      '  allowed_hosts: ["a:80"]\n',
      {},
      'f.yaml:2:19 error status.allowed_hosts[0]: "a:80" is not a host name such as proxy.lan, without a port',
    ],
    [
      '  token: "***"\n',
      {},
      'f.yaml:2:10 error status.token: *** stands for a hidden value; write the value itself',
    ],
  ])('refuses %j with %j', (status, env, problem) => {
    expect(problemsOf(status, env)).toEqual([problem]);
  });

  test.each(['hunter 2', 'hunter\u00e92', '20394857', '[hunter2]', '{a: hunter2}'])(
    'never shows a token, right or wrong: %s',
    (token) => {
      const problems = problemsOf(`  token: ${token}\n`).join('\n');
      expect(problems).toContain('f.yaml:2:10 error status.token: ');
      expect(problems).not.toMatch(/hunter|20394857/);
    },
  );
});
