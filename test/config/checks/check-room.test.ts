import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../../src/config/file.ts';
import { formatProblem } from '../../../src/model/problem.ts';
import { labelsOf, PREFIX, tableOf } from '../../support/builders.ts';

const parse = createFileParser();
const mistakesOf = (text: string) => parse({ text, file: 'f' }).problems.map(formatProblem);

describe('room', () => {
  test('is read in whole bytes, and in the units of Docker', () => {
    const text =
      'limits: {max_awake: 5, memory: 6GiB}\ngroups: {gpu: {max_awake: 1}}\nservices: {a: {ports: ["1:1"], group: gpu, memory: 512m}}';
    const { config, problems } = parse({ text, file: 'f' });
    expect(problems).toEqual([]);
    expect(config?.settings).toMatchObject({
      'limits.max_awake': { value: 5 },
      'limits.memory': { value: 6 * 1024 ** 3 },
      groups: { value: { gpu: { maxAwake: 1 } } },
    });
    expect(config?.services[0]?.draft).toMatchObject({ group: { value: 'gpu' }, memory: { value: 2 ** 29 } });
  });

  test.each([
    [
      'limits: {memory: much}',
      'f:1:18 error limits.memory: "much" is not an amount of memory such as 512MiB or 2GiB',
    ],
    ['limits: {max_awake: 0}', 'f:1:21 error limits.max_awake: 0 is not a whole number from 1 to 1000000'],
    ['limits: {max_awak: 1}', 'f:1:10 error limits.max_awak: unknown key; did you mean "max_awake"?'],
    [
      'groups: {gpu: {max_awake: 0}}',
      'f:1:27 error groups.gpu.max_awake: 0 is not a whole number from 1 to 1000000',
    ],
    [
      'groups: {gpu: {max: 1, max_awake: 1}}',
      'f:1:16 error groups.gpu.max: unknown key; known are max_awake',
    ],
    ['groups: {gpu: {}}', 'f:1:15 error groups.gpu.max_awake: is missing'],
    ['groups: [gpu]', 'f:1:9 error groups: a list is not a mapping'],
  ])('%s is a mistake', (line, expected) => {
    expect(mistakesOf(`${line}\nservices: {a: {ports: ["1:1"]}}`)).toEqual([expected]);
  });

  test.each([
    [
      'a group that does not exist',
      '{}',
      '{a: {group: gpu}}',
      'f:3:23 error services.a.group: "gpu" is no group, since there are none; name it under groups',
    ],
    [
      'a service that takes more than there is',
      '{memory: 1GiB}',
      '{a: {memory: 2GiB}}',
      '2GiB is more than limits.memory, which is 1GiB, so it can never be woken',
    ],
    [
      'a chain that is longer than what may be awake',
      '{max_awake: 2}',
      '{a: {depends_on: [b]}, b: {depends_on: [c]}}',
      'it and what starts with it (b, c) can never be awake together: limits.max_awake is 2',
    ],
    [
      'a hub that has more dependants than may be awake',
      '{max_awake: 2}',
      '{a: {dependants: [b, c]}}',
      'it and what starts with it (b, c) can never be awake together: limits.max_awake is 2',
    ],
    [
      'a chain that takes more memory than there is',
      '{memory: 3GiB}',
      '{a: {depends_on: [b], memory: 2GiB}, b: {memory: 2GiB}}',
      'it and what starts with it (b) can never be awake together: they take more than limits.memory, which is 3GiB',
    ],
  ])('is never there for %s', (_what, limits, services, expected) => {
    const [found = '', ...others] = mistakesOf(
      `limits: ${limits}\nservices: ${services.replace('{a: {', '{a: {ports: ["1:1"], ')}`,
    ).filter((line) => line.includes(' error '));
    expect(others).toEqual([]);
    expect(found).toContain(expected.replace(/^f:3:23 error services\.a\.group: /, ''));
  });

  test('is never there for more of a group than may be awake, in one chain', () => {
    const text =
      'groups: {gpu: {max_awake: 1}}\nservices:\n  a: {ports: ["1:1"], group: gpu, depends_on: [b]}\n  b: {group: gpu}\n  c: {group: gpo, ports: ["2:2"]}\n';
    expect(mistakesOf(text)).toEqual([
      'f:3:47 error depends_on: it and what starts with it (b) can never be awake together: groups.gpu.max_awake is 1',
      'f:5:14 error group: "gpo" is no group; did you mean "gpu"?',
    ]);
  });

  test('is told of labels when they are merged with the file', () => {
    const table = tableOf({
      text: 'limits: {max_awake: 1, memory: 1GiB}\nservices: {}',
      labelled: [
        labelsOf('a', { ports: '1:1', 'depends-on': 'b', group: 'gpu' }),
        labelsOf('b', { memory: '2GiB' }),
      ],
    });
    expect(table.problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.group error group: "gpu" is no group, since there are none; name it under groups`,
      `container a, label ${PREFIX}.depends-on error depends-on: it and what starts with it (b) can never be awake together: limits.max_awake is 1`,
      `container b, label ${PREFIX}.memory error memory: 2GiB is more than limits.memory, which is 1GiB, so it can never be woken`,
    ]);
  });
});
