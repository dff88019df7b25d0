import { expect, test } from 'vitest';
import { FIELD_NAMES, type FieldName } from '../../src/config/fields.ts';
import { findChangedFields } from '../../src/plan/changed-fields.ts';
import { serviceOf, tableOf } from '../support/builders.ts';

/** A service, and what each field is changed to, as YAML; every field must be here. */
const CONTAINER = 'container: a';
const DEPLOYMENT = 'deployment: shop/a';
const CHANGES: Readonly<
  Record<Exclude<FieldName, 'ignore_labels'>, readonly [base: string, changed: string]>
> = {
  container: [CONTAINER, 'container: b'],
  swarm_service: ['swarm_service: a', 'swarm_service: b'],
  deployment: [DEPLOYMENT, 'deployment: shop/b, service_name: a'],
  statefulset: ['statefulset: a', 'statefulset: b, service_name: a'],
  scale: [DEPLOYMENT, `${DEPLOYMENT}, scale: 3`],
  service_name: [DEPLOYMENT, `${DEPLOYMENT}, service_name: b`],
  allow_data_loss: [DEPLOYMENT, `${DEPLOYMENT}, allow_data_loss: true`],
  upstream: [DEPLOYMENT, `${DEPLOYMENT}, upstream: service`],
  command: ['command: [a]', 'command: [b]'],
  cwd: ['command: [a]', 'command: [a], cwd: /b'],
  env: ['command: [a]', 'command: [a], env: {A: b}'],
  ports: [CONTAINER, `${CONTAINER}, ports: ["80:80"]`],
  http_ports: [CONTAINER, `${CONTAINER}, http_ports: ["80:80"]`],
  hosts: [CONTAINER, `${CONTAINER}, hosts: [a.lan]`],
  http_port: [CONTAINER, `${CONTAINER}, http_port: 81`],
  tls_hosts: [CONTAINER, `${CONTAINER}, tls_hosts: [a.lan]`],
  https_port: [CONTAINER, `${CONTAINER}, https_port: 81`],
  tls: [CONTAINER, `${CONTAINER}, tls: true`],
  waiting_page: [CONTAINER, `${CONTAINER}, waiting_page: off`],
  basic_auth: [CONTAINER, `${CONTAINER}, basic_auth: ["a:$2y$04$${'a'.repeat(53)}"]`],
  api_key: [CONTAINER, `${CONTAINER}, api_key: [a]`],
  wake_paths: [CONTAINER, `${CONTAINER}, wake_paths: ["/a"]`],
  blocked: [CONTAINER, `${CONTAINER}, blocked: 403`],
  traefik_hosts: [CONTAINER, `${CONTAINER}, traefik_hosts: ["a.lan:80"]`],
  traefik_tcp_hosts: [CONTAINER, `${CONTAINER}, traefik_tcp_hosts: ["a.lan:80"]`],
  udp_ports: [CONTAINER, `${CONTAINER}, udp_ports: ["80:80"]`],
  availability: [CONTAINER, `${CONTAINER}, availability: manual`],
  allow_list: [CONTAINER, `${CONTAINER}, allow_list: [10.0.0.1]`],
  block_list: [CONTAINER, `${CONTAINER}, block_list: [10.0.0.1]`],
  wake_list: [CONTAINER, `${CONTAINER}, wake_list: [10.0.0.1]`],
  wake_on: [CONTAINER, `${CONTAINER}, wake_on: data`],
  proxy_protocol: [CONTAINER, `${CONTAINER}, proxy_protocol: v2`],
  accept_proxy_protocol: [CONTAINER, `${CONTAINER}, accept_proxy_protocol: true`],
  idle_timeout: [CONTAINER, `${CONTAINER}, idle_timeout: 3s`],
  start_timeout: [CONTAINER, `${CONTAINER}, start_timeout: 3s`],
  stop_timeout: [CONTAINER, `${CONTAINER}, stop_timeout: 3s`],
  idle_when: [CONTAINER, `${CONTAINER}, idle_when: no_traffic`],
  idle_ignore_below: [CONTAINER, `${CONTAINER}, idle_ignore_below: 1KiB/min`],
  busy_check: [CONTAINER, `${CONTAINER}, busy_check: {command: [a]}`],
  stop_signal: [CONTAINER, `${CONTAINER}, stop_signal: SIGINT`],
  min_awake: [CONTAINER, `${CONTAINER}, min_awake: 3s`],
  sleep: [CONTAINER, `${CONTAINER}, sleep: pause`],
  pause_after: [CONTAINER, `${CONTAINER}, pause_after: 3s`],
  http_healthcheck: [CONTAINER, `${CONTAINER}, http_healthcheck: "http://a/"`],
  http_healthcheck_status: [CONTAINER, `${CONTAINER}, http_healthcheck_status: "401"`],
  webhook_url: [CONTAINER, `${CONTAINER}, webhook_url: "http://a/"`],
  webhooks: [CONTAINER, `${CONTAINER}, webhooks: [{url: "http://a/"}]`],
  dependants: [CONTAINER, `${CONTAINER}, dependants: [b]`],
  group: [CONTAINER, `${CONTAINER}, group: gpu`],
  memory: [CONTAINER, `${CONTAINER}, memory: 1GiB`],
  depends_on: [CONTAINER, `${CONTAINER}, depends_on: [b]`],
  dependant_of_labels: [CONTAINER, `${CONTAINER}, dependant_of_labels: true`],
  awake: [CONTAINER, `${CONTAINER}, awake: ["08:30-17:30 Mon-Fri"]`],
  cron_start: [CONTAINER, `${CONTAINER}, cron_start: "1 1 * * *"`],
  cron_stop: [CONTAINER, `${CONTAINER}, cron_stop: "1 1 * * *"`],
  timezone: [CONTAINER, `${CONTAINER}, timezone: Europe/Paris`],
  max_pending: [CONTAINER, `${CONTAINER}, max_pending: 3`],
  max_connections: [CONTAINER, `${CONTAINER}, max_connections: 3`],
  max_connections_per_address: [CONTAINER, `${CONTAINER}, max_connections_per_address: 3`],
  tcp_keepalive: [CONTAINER, `${CONTAINER}, tcp_keepalive: 3s`],
  udp_readiness: [CONTAINER, `${CONTAINER}, udp_readiness: open`],
  udp_flow_timeout: [CONTAINER, `${CONTAINER}, udp_flow_timeout: 3s`],
  udp_queue_datagrams: [CONTAINER, `${CONTAINER}, udp_queue_datagrams: 3`],
  udp_queue_bytes: [CONTAINER, `${CONTAINER}, udp_queue_bytes: 3`],
  udp_queue_age: [CONTAINER, `${CONTAINER}, udp_queue_age: 3s`],
};

const serviceFrom = (fields: string) =>
  serviceOf(
    tableOf({
      text: `{ trusted_proxies: [10.0.0.1], groups: { gpu: { max_awake: 1 } }, services: { x: { ${fields} } } }`,
    }),
    'x',
  );

test.each(Object.entries(CHANGES))('a change of %s is named', (field, [base, changed]) => {
  expect(findChangedFields(serviceFrom(base), serviceFrom(changed))).toEqual([field]);
});

test('every field can be named', () => {
  expect([...Object.keys(CHANGES), 'ignore_labels'].toSorted()).toEqual(FIELD_NAMES.toSorted());
});

test('nothing is named where nothing has changed, and all where several have', () => {
  const base = serviceFrom(CONTAINER);
  expect(findChangedFields(base, serviceFrom(CONTAINER))).toEqual([]);
  const fields = 'command: [b], idle_timeout: 1s, ports: ["80:1"], udp_queue_age: 1s';
  expect(findChangedFields(base, serviceFrom(fields))).toEqual([
    'command',
    'idle_timeout',
    'ports',
    'udp_queue_age',
  ]);
});
