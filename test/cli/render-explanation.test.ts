import { expect, test } from 'vitest';
import { renderExplanation } from '../../src/cli/render-explanation.ts';
import type { ServiceDetailAnswer } from '../../src/status/api/answers.ts';
import { NOBODY, TIMES } from './answers.ts';

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
  return lines.slice(lines.indexOf('Woken by') + 1, lines.indexOf('Ports') - 1);
}

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
  expect(explain({ listeners, woken_by: wakers }, {})).toEqual([
    '  a request for wiki.home.arpa on *:80/tcp',
    '  a request on *:8081/tcp',
    '  a connection on *:5432/tcp',
  ]);
});
