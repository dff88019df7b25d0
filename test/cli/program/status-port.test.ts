import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

/** What `validate` says of a file, without the source that it shows. */
async function validate(text: string, options: { env?: Record<string, string>; args?: string[] } = {}) {
  const folder = await createFolder({ 'f.yaml': text });
  const { args = [], env = {} } = options;
  const { stdout, status } = await runProgram(['validate', ...args, 'f.yaml'], { cwd: folder, env });
  return { status, line: stdout.split('\n')[0] };
}

const service = (port: string) => `services: { a: { ports: ["${port}"] } }\n`;
const DEFAULT = 'by default; status.listen can give it another place';

describe('a listener on the port of the status server', () => {
  test.each([
    [
      'the default',
      service('8080:80'),
      {},
      `"8080:80" listens on tcp *:8080, which the status server does already (${DEFAULT})`,
    ],
    [
      'the default, on one address',
      service('127.0.0.1:8080:80'),
      {},
      `"127.0.0.1:8080:80" listens on tcp 127.0.0.1:8080, which the status server does already (${DEFAULT})`,
    ],
    [
      'the default, in a range',
      service('8079-8081:1-3'),
      {},
      `"8079-8081:1-3" listens on tcp *:8080, which the status server does already (${DEFAULT})`,
    ],
    [
      'status.listen',
      `status: { listen: "127.0.0.1:9000" }\n${service('0.0.0.0:9000:80')}`,
      {},
      `"0.0.0.0:9000:80" listens on tcp 0.0.0.0:9000, which the status server does already (f.yaml:1:19)`,
    ],
    [
      'STATUS_PORT',
      service('9001:80'),
      { env: { STATUS_PORT: '9001' } },
      `"9001:80" listens on tcp *:9001, which the status server does already ($STATUS_PORT)`,
    ],
    [
      '--status-port',
      service('9001:80'),
      { args: ['--status-port', '9001'] },
      `"9001:80" listens on tcp *:9001, which the status server does already (--status-port)`,
    ],
  ])('is a problem with both places: %s', async (_which, text, options, message) => {
    const { status, line } = await validate(text, options);
    expect(line).toMatch(/^f\.yaml:\d+:\d+ error ports\[0\]: /);
    expect({ status, message: line?.replace(/^\S+ error ports\[0\]: /, '') }).toEqual({ status: 1, message });
  });

  test.each([
    ['the status server is off', `status: off\n${service('8080:80')}`, {}],
    ['it is off by STATUS_PORT', service('8080:80'), { env: { STATUS_PORT: '0' } }],
    ['it listens elsewhere', service('8080:80'), { env: { STATUS_PORT: '9001' } }],
    [
      'both have an address of their own',
      `status: { listen: "127.0.0.1:8080" }\n${service('127.0.0.2:8080:80')}`,
      {},
    ],
    [
      'one takes IPv4 and the other one IPv6',
      `status: { listen: "[::1]:8080" }\n${service('0.0.0.0:8080:80')}`,
      {},
    ],
    ['the other one is UDP', 'services: { a: { udp_ports: ["8080:80"] } }\n', {}],
  ])('is none where %s', async (_when, text, options) => {
    expect((await validate(text, options)).status).toBe(0);
  });

  test('keeps run from starting, with the same words', async () => {
    const probe = createServer().listen(0);
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    const folder = await createFolder({
      'f.yaml': `docker: { labels: false }\n${service(`${port}:80`)}`.padEnd(5_000, '#'),
    });
    const args = ['run', '--config', 'f.yaml', '--log-format', 'json', '--status-port', String(port)];
    const { status, stdout } = await runProgram(args, { cwd: folder, timeoutMs: 5_000 });
    expect(status).toBe(2);
    expect(stdout).toContain(
      `listens on tcp *:${port}, which the status server does already (--status-port)`,
    );
  });
});
