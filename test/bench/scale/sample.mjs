/** The services of the simulation: plain ones, and some with UDP, access lists and dependants. */

const PREFIX = 'lazy-tcp-proxy';

/** An address has 65,535 ports at the most; beyond so many services the next address is used. */
const SERVICES_PER_ADDRESS = 20_000;
const FIRST_PORT = 10_000;

const NAMESPACES = 97;

/** The annotations of one Deployment, as a backend tells them. */
export function createLabelled(index, { idleTimeout = '5m' } = {}) {
  const fields = Object.entries(createFields(index, { idleTimeout }));
  const annotations = fields.map(([field, value]) => [
    `${PREFIX}.${field.replaceAll('_', '-')}`,
    [value].flat().join(', '),
  ]);
  return {
    ref: {
      kind: 'kubernetes',
      resource: 'deployment',
      namespace: namespaceOf(index),
      name: workloadOf(index),
    },
    labels: { [`${PREFIX}.enabled`]: 'true', ...Object.fromEntries(annotations) },
  };
}

/** A file with so many services, the text. */
export function createFileText(size) {
  const services = Array.from({ length: size }, (_, index) => [
    JSON.stringify(nameOf(index)),
    { deployment: nameOf(index), ...createFields(index) },
  ]);
  const lines = services.map(([name, fields]) => {
    const entries = Object.entries(fields).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}`);
    return [`  ${name}:`, ...entries].join('\n');
  });
  return `defaults: { start_timeout: 60s }\nservices:\n${lines.join('\n')}\n`;
}

/** The name of a service: what one is called whose Deployment is known by its annotations alone. */
export function nameOf(index) {
  return `${namespaceOf(index)}/${workloadOf(index)}`;
}

function namespaceOf(index) {
  return `team-${index % NAMESPACES}`;
}

function workloadOf(index) {
  return `app-${index}`;
}

/** The fields of one service, by their names in the file. */
function createFields(index, { idleTimeout = '5m' } = {}) {
  const address = `10.0.${Math.floor(index / SERVICES_PER_ADDRESS)}.1`;
  const listen = `${address}:${FIRST_PORT + (index % SERVICES_PER_ADDRESS)}`;
  return {
    ports: [`${listen}:80`],
    idle_timeout: idleTimeout,
    ...(index % 10 === 1 && { udp_ports: [`${listen}:53`] }),
    ...(index % 10 === 2 && { allow_list: ['10.0.0.0/8', '192.168.0.0/16'] }),
    ...(index % 10 === 3 && { webhook_url: 'https://hooks.example.com/' }),
    ...(index % 50 === 4 && index >= NAMESPACES && { dependants: [nameOf(index - NAMESPACES)] }),
  };
}
