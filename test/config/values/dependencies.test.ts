import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/model/problem.ts';
import { createFileParser } from '../../../src/config/file.ts';
import { formatDependencies, parseDependencies } from '../../../src/config/values/dependencies.ts';
import { labelsOf, PREFIX } from '../../support/builders.ts';

const parse = createFileParser();

/** What is wrong with a `depends_on` of service `web`, beside services `db`, `job` of Kubernetes and `web`. */
function mistakesOf(text: string): readonly string[] {
  const { problems } = parse({
    text: `services:\n  web: {ports: ["1:1"], depends_on: ${text}}\n  db: {ports: ["2:2"]}\n  job: {deployment: job}\n`,
    file: 'f',
  });
  return problems.map(formatProblem);
}

describe('depends_on', () => {
  test.each([
    [
      'a list',
      '[db, cache]',
      [
        ['db', 'started'],
        ['cache', 'started'],
      ],
    ],
    [
      'a list with conditions',
      '[db:healthy, "cache: started"]',
      [
        ['db', 'healthy'],
        ['cache', 'started'],
      ],
    ],
    [
      'a mapping',
      '{db: healthy, m: completed}',
      [
        ['db', 'healthy'],
        ['m', 'completed'],
      ],
    ],
    ['an empty list', '[]', []],
  ])('is read from %s', (_what, text, expected) => {
    const { config, problems } = parse({
      text: `services: {web: {ports: ["1:1"], depends_on: ${text}}}`,
      file: 'f',
    });
    expect(problems).toEqual([]);
    expect(config?.services[0]?.draft.depends_on?.value).toEqual(
      expected.map(([name, condition]) => ({ name, condition })),
    );
  });

  test.each([
    [
      'db:healthy,cache',
      [
        { name: 'db', condition: 'healthy' },
        { name: 'cache', condition: 'started' },
      ],
    ],
    ['compose', 'compose'],
    ['', []],
  ])('is read from the label %j', (text, expected) => {
    const { draft, problems } = labelsOf('web', { 'depends-on': text });
    expect(problems).toEqual([]);
    expect(draft?.depends_on?.value).toEqual(expected);
  });

  test.each([
    [
      'db',
      [
        'f:2:37 error depends_on: "db" is not a list such as [db], a mapping such as {db: healthy}, or compose; write [db]',
      ],
    ],
    [
      '{db: helthy}',
      [
        'f:2:42 error depends_on.db: "helthy" is not started or healthy or completed; did you mean "healthy"?',
      ],
    ],
    [
      '{db: service_healthy}',
      ['f:2:42 error depends_on.db: "service_healthy" is not started or healthy or completed; write healthy'],
    ],
    [
      '{db: {condition: service_started}}',
      ['f:2:42 error depends_on.db: a mapping is not started or healthy or completed; write started'],
    ],
    ['[db:ready]', ['f:2:38 error depends_on[0]: "ready" is not started or healthy or completed']],
    ['[db, db:healthy]', ['f:2:42 error depends_on[1]: "db" is to be started already; keep one of them']],
    ['[3]', ['f:2:38 error depends_on[0]: 3 is not text; write "3"']],
    [
      '{job: completed}',
      [
        'f:2:43 error depends_on.job: "job" is no container and no process, so it has no exit status and is never completed; write healthy or started',
      ],
    ],
    ...['[compose]', '[db, compose:healthy]'].map((text): [string, string[]] => [
      text,
      [
        expect.stringMatching(
          /^f:2:\d\d error depends_on\[[01]\]: "compose" is no service of this file; to take the order from Compose, write depends_on: compose, and nothing beside it$/,
        ),
      ],
    ]),
    ['[web]', ['f:2:38 error depends_on[0]: web → web is a cycle; remove one of the links']],
    [
      '[bd]',
      [
        'f:2:38 warning depends_on[0]: "bd" is no service of this file; a container of this name is meant; did you mean "db"?',
      ],
    ],
  ])('with %s is a mistake', (text, expected) => {
    expect(mistakesOf(text)).toEqual(expected);
  });

  test('forms one cycle with dependants', () => {
    const { problems } = parse({
      text: 'services:\n  a: {dependants: [b], ports: ["1:1"]}\n  b:\n    depends_on: {a: started}\n',
      file: 'f',
    });
    expect(problems.map(formatProblem)).toEqual([
      'f:4:21 error depends_on.a: a → b → a is a cycle; remove one of the links',
    ]);
  });

  test.each([
    [
      'warns where one service of a workload needs to be completed what another one needs awake',
      '  web: {ports: ["1:1"], depends_on: {db: healthy}}\n  api: {container: web, ports: ["2:2"], depends_on: {db: completed}}\n  db: {}\n',
      [
        'f:2:42 warning depends_on.db: api has the same workload and needs "db" to be completed; that counts for both: it is run anew for each wake, and not kept awake',
      ],
    ],
    [
      'takes the stricter one of others silently',
      '  web: {ports: ["1:1"], depends_on: {db: healthy}}\n  api: {container: web, ports: ["2:2"], depends_on: [db]}\n  db: {}\n',
      [],
    ],
    [
      'refuses two names of one workload that is to be completed and awake',
      '  web: {ports: ["1:1"], depends_on: {db: healthy, job: completed}}\n  db: {ports: ["2:2"]}\n  job: {container: db, ports: ["3:3"]}\n',
      [
        'f:2:42 error depends_on.db: "db" and "job" are one workload, which can\'t be completed and be healthy as well; keep one of them',
      ],
    ],
  ])('%s', (_what, services, expected) => {
    const { problems } = parse({ text: `services:\n${services}`, file: 'f' });
    const said = problems.map(formatProblem).filter((line) => line.includes('depends_on'));
    expect(said).toEqual(expected);
  });

  test('in a label tells what is wrong with its place', () => {
    const { kind, problems } = labelsOf('web', { ports: '1:1', 'depends-on': 'db:helthy' });
    expect(kind).toBe('refused');
    expect(problems.map(formatProblem)).toEqual([
      `container web, label ${PREFIX}.depends-on error depends-on[0]: "helthy" is not started or healthy or completed; did you mean "healthy"?; until then container web is refused as a whole`,
    ]);
  });

  test.each([
    ['started ones alone', [['db', 'started']], ['db']],
    [
      'others, too',
      [
        ['db', 'healthy'],
        ['cache', 'started'],
      ],
      { db: 'healthy', cache: 'started' },
    ],
  ])('is printed so that it is read back, with %s', (_what, pairs, written) => {
    const dependsOn = pairs.map(([name = '', condition]) => ({
      name,
      condition: condition as 'started' | 'healthy',
    }));
    expect(formatDependencies(dependsOn)).toEqual(written);
    expect(parseDependencies(written)).toEqual({ ok: true, value: dependsOn });
  });
});
