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
