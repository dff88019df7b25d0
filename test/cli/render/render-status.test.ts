import { expect, test } from 'vitest';
import { renderServices, renderStatus } from '../../../src/cli/render/render-status.ts';
import { createPaint } from '../../../src/cli/render/table.ts';
import type { AboutAnswer, ListenerAnswer, ServiceAnswer } from '../../../src/status/api/answers.ts';
import { NOBODY, NOW, TIMES } from '../answers.ts';

const LISTENER = {
  ...{ protocol: 'tcp', address: '127.0.0.1', port: 5432, target_port: 5432 },
  ...{ condition: 'bound', connections: 0, blocked: 0 },
} as ListenerAnswer;
const REASON = 'its start took longer than 30 s, and what answered on its port was not what was asked for';
const SERVICE: ServiceAnswer = {
  ...{ name: 'database', kind: 'docker', workload: 'container db', availability: 'on_demand' },
  ...{ life: 'asleep', since: NOW, next_start: '2026-11-27T08:30:00Z', why: NOBODY, listeners: [LISTENER] },
  last_sleep: { at: NOW, kind: 'others', reason: REASON },
};
const render = (columns: number | undefined) =>
  renderServices([SERVICE], TIMES, { columns, paint: createPaint(false) });

test('services are one line each where the terminal is wide enough, or none', () => {
  for (const columns of [undefined, 200])
    expect(render(columns)).toEqual([
      expect.stringMatching(/^SERVICE +STATE +SINCE +WHY +NEXT +PORTS$/),
      expect.stringMatching(
        new RegExp(`^database +asleep +just now +${REASON} +wakes at 11-27 08:30 +127.0.0.1:5432/tcp$`),
      ),
    ]);
});

test('the summary says how much room is taken, and how many wait for it', () => {
  const about = {
    version: '1.2.3',
    phase: 'serving' as const,
    uptime_ms: 4_000,
    has_token: true,
    engines: [],
  };
  const reload = { generation: 1, changed_at: NOW, refused: 0, problems: [], waiting: [] };
  const room = {
    awake: [
      { taken: 5, max: 5, services: ['a', 'b', 'c', 'd', 'images'] },
      { group: 'gpu', taken: 1, max: 1, services: ['images'] },
      { group: 'disk', taken: 0, max: 2, services: [] },
    ],
    ...{ memory: { taken: 3 * 2 ** 30, max: 6 * 2 ** 30 }, waiting: 1 },
  };
  const summarize = (more: Partial<AboutAnswer>) =>
    renderStatus({ about: { ...about, ...more }, services: [], reload, problems: [] }, TIMES, {
      ...{ columns: undefined, paint: createPaint(false) },
    })[0];
  expect(summarize({ room })).toContain(
    '; room: 5 of 5 awake, gpu 1 of 1 (images), disk 0 of 2, 3.0 GiB of 6.0 GiB; 1 workload waits for room',
  );
  expect(summarize({})).not.toContain('room');
});

test('in 80 columns nothing of a service is cut: why has lines of its own', () => {
  const lines = render(80);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  expect(lines[0]).toMatch(/^SERVICE +STATE +SINCE +NEXT +PORTS$/);
  expect(lines[1]).toMatch(/^database +asleep +just now +wakes at 11-27 08:30 +127.0.0.1:5432\/tcp$/);
  expect(
    lines
      .slice(2)
      .map((line) => line.trim())
      .join(' '),
  ).toBe(REASON);
  expect(lines[2]).toMatch(/^ {2}\S/);
});

test('a web service is shown by its hosts, not by the front doors that all share', () => {
  const door = { ...LISTENER, address: '', port: 80, scheme: 'http', hosts: ['a.home'] } as ListenerAnswer;
  const urls = ['a.home', 'b.home:8081', 'c.home', 'd.home'].map((host) => `http://${host}/`);
  const service = { ...SERVICE, listeners: [LISTENER, door], urls };
  const screen = { columns: undefined, paint: createPaint(false) };
  const [, line] = renderServices([service], TIMES, screen);
  expect(line).toMatch(/ 127\.0\.0\.1:5432\/tcp a\.home b\.home:8081 c\.home \+1$/);
  const failed = { ...service, listeners: [{ ...door, condition: 'failed' as const }], urls: [] };
  expect(renderServices([failed], TIMES, screen)[1]).toMatch(/ \*:80\/tcp \(not open\)$/);
});

test.each([undefined, 120])(
  'one long reason stands below its row, and the others stay in line, in %s columns',
  (columns) => {
    const failure = `cannot start container "x": ${'driver failed, '.repeat(10)}: it publishes port 80`;
    const short = ['idle for 9 s', 'exit code 3', 'by hand'].map((reason) => ({
      ...SERVICE,
      last_sleep: { at: NOW, kind: 'idle', reason },
    }));
    const failed = { ...SERVICE, life: 'failed' as const, failure };
    const lines = renderServices([failed, ...short], TIMES, { columns, paint: createPaint(false) });
    expect(lines[0]).toMatch(/^SERVICE +STATE +SINCE +WHY +NEXT +PORTS$/);
    expect(lines[1]).toMatch(/^database +failed +just now +wakes at 11-27 08:30 +127\.0\.0\.1:5432\/tcp$/);
    const below = lines.slice(2, -3);
    expect(below.map((line) => line.trim()).join(' ')).toBe(failure.replace(/ +/g, ' '));
    expect(lines.at(-3)).toMatch(/^database +asleep +just now +idle for 9 s +wakes at/);
  },
);
