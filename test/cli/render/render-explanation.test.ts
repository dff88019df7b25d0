import { expect, test } from 'vitest';
import { renderExplanation } from '../../../src/cli/render/render-explanation.ts';
import type { ServiceDetailAnswer } from '../../../src/status/api/answers.ts';
import { NOBODY, TIMES } from '../answers.ts';

const BOUND = {
  protocol: 'tcp',
  address: '',
  target_port: 80,
  condition: 'bound',
  connections: 0,
  blocked: 0,
};

function explain(detail: Partial<ServiceDetailAnswer>, fields: Readonly<Record<string, unknown>>) {
  const service = {
    ...{ name: 'wiki', kind: 'docker', workload: 'container wiki', availability: 'on_demand', why: NOBODY },
    ...{ leases: [], woken_by: [], wakes: [], timeline: [], problems: [], listeners: [] },
    ...detail,
  } as unknown as ServiceDetailAnswer;
  const lines = renderExplanation(service, {
    values: Object.fromEntries(
      Object.entries(fields).map(([field, value]) => [field, { value, origin: 'default' }]),
    ),
    ...{ areSecretsShown: false, hasToken: false, times: TIMES },
    screen: { columns: undefined, paint: (text) => text },
  });
  return lines;
}

const explainWakers = (...args: Parameters<typeof explain>) => {
  const lines = explain(...args);
  return lines.slice(lines.indexOf('Woken by') + 1, lines.indexOf('Ports') - 1);
};

test('says which requests wake a web service, where a mere connection wakes nothing', () => {
  const listeners = [
    { ...BOUND, port: 80, relay: 'http' },
    { ...BOUND, port: 5432, relay: 'splice' },
  ] as unknown as ServiceDetailAnswer['listeners'];
  const wakers = [
    { kind: 'request', listener: '*:80/tcp', hosts: ['wiki.home.arpa'] },
    // Whatever host it names.
    { kind: 'request', listener: '*:8081/tcp' },
    { kind: 'connection', listener: '*:5432/tcp' },
  ];
  expect(explainWakers({ listeners, woken_by: wakers }, {})).toEqual([
    '  a request for wiki.home.arpa on *:80/tcp',
    '  a request on *:8081/tcp',
    '  a connection on *:5432/tcp',
  ]);
});

test('says why nobody knows what a workload had printed', () => {
  const phases = { engine_ms: 1, health_ms: 0, port_ms: 0 };
  const wake = { at: '2026-03-10T12:00:00Z', cause: 'for 10.0.0.5:1', result: 'failed', ...phases } as const;
  const lines = explain({ wakes: [{ ...wake, reason: 'exit code 3', output_problem: '403 Forbidden' }] }, {});
  expect(lines).toContain("    what it had printed can't be read: 403 Forbidden");
});

test('says of each host which certificate a client gets', () => {
  const certificates = [
    { host: 'wiki.lan', kind: 'file', path: '/certs/lan.pem', until: '2026-03-10T12:00:00Z' },
    { host: 'wiki.home.arpa', kind: 'self-signed' },
    { host: 'wiki.example', kind: 'none' },
  ] as const;
  const lines = explain({ certificates }, {});
  expect(lines.slice(lines.indexOf('HTTPS') + 1)).toEqual([
    '  wiki.lan: /certs/lan.pem, good until 2026-03-10 12:00',
    '  wiki.home.arpa: made by the proxy, for devices that trust lazy-proxy ca',
    '  wiki.example: no certificate, so nobody gets it over HTTPS',
  ]);
});

test('says whether ports are open, what to type, and when, to the second', () => {
  const listeners = [
    { ...BOUND, port: 80 },
    { ...BOUND, port: 81, condition: 'failed', error: 'another process holds the port' },
  ] as unknown as ServiceDetailAnswer['listeners'];
  const timeline = [{ at: '2026-03-10T12:00:07Z', life: 'asleep' }] as const;
  const lines = explain({ listeners, timeline }, {});
  expect(lines).toContain('  *:80/tcp → 80: open, 0 connections');
  expect(lines).toContain('  *:81/tcp → 80: not open, 0 connections; another process holds the port');
  expect(lines).toContain('  nothing now; you can: lazy-proxy wake wiki');
  expect(lines).toContain('  2026-03-10 12:00:07 asleep');
});

test('does not say of what is not awake that something keeps it so', () => {
  const leases = [{ kind: 'hold', since: '2026-03-10T12:00:00Z' }] as ServiceDetailAnswer['leases'];
  expect(explain({ leases, life: 'asleep' }, {})).toContain('Wanted by');
  expect(explain({ leases, life: 'awake' }, {})).toContain('Kept awake by');
});

test('tells what somebody has set before what nobody has', () => {
  const lines = renderExplanation(
    {
      name: 'wiki',
      why: NOBODY,
      leases: [],
      woken_by: [],
      wakes: [],
      timeline: [],
      problems: [],
      listeners: [],
    } as unknown as ServiceDetailAnswer,
    {
      values: {
        wake_on: { value: 'connect', origin: 'default' },
        idle_timeout: { value: '5m', origin: 'lazy-proxy.yaml:3:9' },
      },
      ...{ areSecretsShown: true, hasToken: true, times: TIMES },
      screen: { columns: undefined, paint: (text) => text },
    },
  );
  const fields = lines.slice(lines.indexOf('Values in force') + 2).map((line) => line.trim().split(' ')[0]);
  expect(fields).toEqual(['idle_timeout', 'wake_on']);
});
