import { expect, test } from 'vitest';
import { renderServices } from '../../src/cli/render-status.ts';
import { createPaint } from '../../src/cli/table.ts';
import type { ListenerAnswer, ServiceAnswer } from '../../src/status/api/answers.ts';
import { NOBODY, NOW, TIMES } from './answers.ts';

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
