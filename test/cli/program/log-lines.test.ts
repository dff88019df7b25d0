import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

/** The proxy with one process that says why it gives up. */
async function startFailing(env: Readonly<Record<string, string>>) {
  const [port = 0, target = 0] = await freePorts(2);
  const command = [process.execPath, '-e', 'console.error("no database"); process.exit(3)'];
  const app = { command, ports: [`127.0.0.1:${port}:${target}`] };
  const cwd = await createFolder({
    'lazy-proxy.yaml': JSON.stringify({ status: 'off', docker: { labels: false }, services: { app } }),
  });
  const isQuiet = env['LOG_LEVEL'] === 'warn';
  const proxy = await startProgram({
    cwd,
    env: { ...process.env, ...env },
    ...(isQuiet && { until: undefined }),
  });
  const ask = async () => {
    const client = connect(port, '127.0.0.1').on('error', () => {});
    client.resume();
    onTestFinished(() => void client.destroy());
    await new Promise((resolve) => client.once('close', resolve));
  };
  return { proxy, ask };
}

test.each(['info', 'warn'])(
  'what a process prints before its start fails is told once (log level: %s)',
  async (level) => {
    const { proxy, ask } = await startFailing({ LOG_LEVEL: level });
    await expect
      .poll(async () => {
        await ask();
        return proxy.linesWith('did not become ready').length;
      })
      .toBeGreaterThan(0);
    proxy.child.kill('SIGTERM');
    await once(proxy.child, 'exit');
    const starts = proxy.linesWith('did not become ready').length;
    expect(proxy.linesWith('app | no database').length).toBe(level === 'info' ? starts : 1);
  },
);

test('a problem of the file says once how severe it is', async () => {
  const text = 'status: "off"\ndocker: { labels: false }\nservices: { a: { ports: ["0:1"], cwd: /srv } }\n';
  const cwd = await createFolder({ 'lazy-proxy.yaml': text });
  const proxy = await startProgram({ cwd, until: undefined });
  await once(proxy.child, 'exit');
  expect(proxy.log()).toMatch(/ERROR: lazy-proxy\.yaml:3:\d+: ports\[0\]: /);
  expect(proxy.log()).toMatch(/WARN: lazy-proxy\.yaml:3:\d+: cwd: has no effect/);
});

test.each([
  ['is told how to do without where all services are processes', { command: ['sleep', '1000'] }, true],
  ['is needed where a service is a container', { container: 'db' }, false],
])('an engine that does not answer %s', async (_, service, isAdvised) => {
  const [port] = await freePorts(1);
  const services = { app: { ...service, ports: [`127.0.0.1:${port}:80`] } };
  const cwd = await createFolder({ 'lazy-proxy.yaml': JSON.stringify({ status: 'off', services }) });
  const env = { ...process.env, DOCKER_HOST: `unix://${path.join(cwd, 'none.sock')}`, DOCKER_SOCK: '' };
  const proxy = await startProgram({ cwd, env });
  const line = await proxy.logged('cannot follow the Docker engine');
  expect(line.includes('write docker: { labels: false }')).toBe(isAdvised);
});

test('an engine whose socket is not there is told with what to do', async () => {
  const cwd = await createFolder({ 'lazy-proxy.yaml': 'status: off\n' });
  const socket = path.join(cwd, 'none.sock');
  const proxy = await startProgram({ cwd, env: { ...process.env, DOCKER_SOCK: socket } });
  expect(await proxy.logged('cannot follow the Docker engine')).toContain(
    `(there is no such socket: mount it into the proxy's container, -v ${socket}:${socket}, or name another with DOCKER_SOCK)`,
  );
});

test.each([
  [
    'date and zone where the output is no terminal',
    {},
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+05:30 INFO: lazy-proxy /,
  ],
  ['the time alone where LOG_TIME says so', { LOG_TIME: 'time' }, /^\d\d:\d\d:\d\d\.\d{3} INFO: lazy-proxy /],
])('a line begins with %s', async (_, env, expected) => {
  const text = '{ status: "off", docker: { labels: false }, services: {} }';
  const cwd = await createFolder({ 'lazy-proxy.yaml': text });
  const proxy = await startProgram({ cwd, env: { ...process.env, TZ: 'Asia/Kolkata', ...env } });
  expect(proxy.log()).toMatch(expected);
});

test('an engine whose socket belongs to another group is told with the number of that group', async () => {
  // Not in TMPDIR: the user that the proxy becomes may not be let into that.
  const cwd = await mkdtemp('/tmp/lazy-proxy-group-');
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  await writeFile(path.join(cwd, 'lazy-proxy.yaml'), 'status: off\n');
  const socket = path.join(cwd, 'closed.sock');
  const engine = createServer().listen(socket);
  await once(engine, 'listening');
  onTestFinished(() => void engine.close());
  await chmod(cwd, 0o755);
  await chmod(socket, 0);
  const own = process.getuid?.();
  // Nothing is closed to root, so the proxy becomes somebody else.
  const script = 'process.setgroups([]);process.setgid(65534);process.setuid(65534)';
  const nodeArgs = own === 0 ? ['--import', `data:text/javascript,${script}`] : [];
  if (own === 0) await chown(socket, 0, 4_242);
  const { gid } = await stat(socket);
  const proxy = await startProgram({ cwd, nodeArgs, env: { ...process.env, DOCKER_SOCK: socket } });
  expect(await proxy.logged('cannot follow the Docker engine')).toContain(
    `(the proxy's user may not open it: run it with the group of the socket, user: "${own === 0 ? 65_534 : own}:${gid}", or as root)`,
  );
});
