/** What the proxy is given: services with two listeners each, in a file or as labels. Pure. */

const PREFIX = 'lazy-tcp-proxy';

/** Loopback addresses are plenty, and below these ports nobody is given an ephemeral one. */
const SERVICES_PER_ADDRESS = 1_000;
const FIRST_PORT = 20_000;

/** The name of a service, and of its container. */
export function nameOf(index) {
  return `app-${index}`;
}

/** A file with so many services, in which one line says `edit`. */
export function createFileText(size, edit = 0) {
  const edited = Math.floor(size / 2);
  const services = Array.from({ length: size }, (_, index) =>
    [
      `  ${nameOf(index)}:`,
      `    container: ${nameOf(index)}`,
      `    ports: [${portsOf(index).map((port) => JSON.stringify(port))}]`,
      `    idle_timeout: ${index === edited ? 600 + edit : 600}s`,
      ...(index % 10 === 2 ? ['    allow_list: [127.0.0.0/8, 10.0.0.0/8]'] : []),
    ].join('\n'),
  );
  return `docker: { labels: false }\nservices:\n${services.join('\n')}\n`;
}

/** The labels of one container. */
export function createLabels(index) {
  return {
    [`${PREFIX}.enabled`]: 'true',
    [`${PREFIX}.ports`]: portsOf(index).join(','),
    [`${PREFIX}.idle-timeout`]: '1h',
    'com.docker.compose.project': 'sample',
    'com.docker.compose.service': nameOf(index),
  };
}

function portsOf(index) {
  const address = `127.77.${Math.floor(index / SERVICES_PER_ADDRESS)}.1`;
  const port = FIRST_PORT + 2 * (index % SERVICES_PER_ADDRESS);
  return [`${address}:${port}:80`, `${address}:${port + 1}:81`];
}
