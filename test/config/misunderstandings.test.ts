/** What people write who come from another program, or guess: each is told what to write here. */
import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../src/config/file.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { labelsOf, PREFIX } from '../support/builders.ts';

const parse = createFileParser();
const problemsOf = (text: string) => parse({ text, file: 'f' }).problems.map(formatProblem);
const WEB = 'services: {a: {ports: ["1:1"]}}';

describe('a file', () => {
  test.each([
    ['session_duration: 5m', 'session_duration: unknown key; here it is idle_timeout'],
    ['sablier.session-duration: 5m', 'sablier.session-duration: unknown key; here it is idle_timeout'],
    ['wake_timeout: 5m', 'wake_timeout: unknown key; here it is start_timeout'],
    [
      'sablier.enable: true',
      'sablier.enable: is a label; a service of the file always takes part, so remove the key, or the service',
    ],
    ['domain: a.home', 'domain: unknown key; here it is hosts'],
    ['stop_method: pause', 'stop_method: unknown key; here it is sleep'],
    ['groups: [gpu]', 'groups: belongs to the top of the file, not to a service; did you mean "group"?'],
    ['zzz: 1', 'zzz: unknown key; docs/configuration.md has them all'],
  ])('of a service with %s', (line, message) => {
    expect(problemsOf(`services:\n  a:\n    ports: ["1:1"]\n    ${line}\n`)).toEqual([
      `f:4:5 error ${message}`,
    ]);
  });

  test.each([
    ['limits: 5', '1:9 error limits: 5 is not a mapping; write limits: {max_awake: 5}'],
    ['http: 80', '1:7 error http: 80 is not a mapping; write http: {listen: "80"}'],
    ['groups: {gpu: 1}', '1:15 error groups.gpu: 1 is not a mapping; write {max_awake: 1}'],
    ['groups: 1', '1:9 error groups: 1 is not a mapping'],
    ['entrypoints: {web: 80}', '1:1 error entrypoints: unknown key; here it is http'],
    [
      'limits: {memory: 6}',
      '1:18 warning limits.memory: 6B is less than any program takes; a number alone means bytes: did you mean "6MiB"?',
    ],
  ])('with the setting %s', (line, problem) => {
    expect(problemsOf(`${line}\n${WEB}`)).toEqual([`f:${problem}`]);
  });

  test.each([
    [
      'awake: "8-17 Mon-Fri"',
      'awake: "8-17 Mon-Fri" is not a list, and "8-17 Mon-Fri" is not a window such as "08:30-17:30 Mon-Fri"',
    ],
    ['awake: "08:30-17:30"', 'awake: "08:30-17:30" is not a list; write ["08:30-17:30"]'],
    [
      'allow_list: 192.168.1.x',
      'allow_list: "192.168.1.x" is not a list, and "192.168.1.x" is not an IP address or CIDR range',
    ],
    ['depends_on: [{db: healthy}]', 'depends_on[0]: a mapping is no entry of a list; write db:healthy'],
    ['depends_on: [{db: {condition: service_healthy}}]', 'a mapping is no entry of a list; write db:healthy'],
    ['hosts: ["Host(`wiki.home`)"]', 'write "wiki.home"'],
  ])('of which no advice is wrong in turn: %s', (line, message) => {
    const text = `http: {listen: "80"}\nservices:\n  a:\n    ports: ["1:1"]\n    ${line}\n`;
    expect(problemsOf(text).join('\n')).toContain(message);
  });
});

describe('labels', () => {
  test.each([
    ['max-awake', '2', 'no label can set limits.max_awake, which is for the whole proxy; the file can'],
    ['command', 'x', 'no label can set command; a service in the file can'],
    ['webhooks', 'x', 'no label can set webhooks; a service in the file can'],
    ['busy-check', 'x', 'did you mean "busy-check-url" or "busy-check-command"?'],
    ['session-duration', '5m', 'did you mean "idle-timeout"?'],
    ['port', '80:80', 'did you mean "ports"?'],
  ])('%s=%s', (suffix, text, hint) => {
    const { problems } = labelsOf('a', { ports: '81:80', [suffix]: text });
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.${suffix} warning unknown label, ignored; ${hint}`,
    ]);
  });

  test.each([
    ['ports', '["80:80", "81:81"]', 'ports: a label has no quotes and brackets: write 80:80, 81:81'],
    ['ports', '"80:80"', 'ports: a label has no quotes and brackets: write 80:80'],
    ['idle-timeout', "'5m'", 'idle-timeout: a label has no quotes and brackets: write 5m'],
    ['busy-check-command', '["a",', "busy-check-command: the list can't be read: its end, a ], is missing"],
    [
      'busy-check-command',
      '[a, b]',
      "busy-check-command: the list can't be read: its entries need double quotes",
    ],
    ['busy-check-url', 'x', 'busy-check-url: '],
    ['hosts', '"a b"', 'hosts[0]: "\\"a b\\"" is not a host name'],
  ])('in the quotes of another language: %s=%s', (suffix, text, message) => {
    const { kind, problems } = labelsOf('a', { [suffix]: text });
    expect(kind).toBe('refused');
    expect(problems.map(formatProblem).join('\n')).toContain(`error ${message}`);
  });
});
