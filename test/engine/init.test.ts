/** `lazy-proxy init` before containers of a real engine, and the proxy with the file that it writes. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { createConfigFolder } from './support/config-folder.ts';
import { toCreateOptions } from './support/container.ts';
import { SCOPE_LABEL } from './support/engine.ts';
import { get } from './support/http.ts';
import { busyboxImage } from './support/image.ts';
import { runCli } from './support/proxy.ts';
import { openTestBed } from './support/test-bed.ts';

async function open({ onTestFinished }: TestContext) {
  const bed = await openTestBed({ onTestFinished });
  const folder = await createConfigFolder();
  bed.atEnd(folder.remove);
  const image = await busyboxImage();
  /** Made in the engine's own words, for what the tests' specification of containers has not. */
  const create = async (short: string, own: Readonly<Record<string, unknown>>) => {
    const name = bed.scope.name(short);
    const base = toCreateOptions({ name, cmd: ['sleep', '999'] }, { image, labels: {} });
    const labels = { [SCOPE_LABEL]: bed.scope.prefix, ...(own['Labels'] as object | undefined) };
    await bed.scope.docker.createContainer({ ...base, ...own, Labels: labels });
    return name;
  };
  return { bed, folder, create };
}

test('init writes what the engine has, running or not, and validate takes it', async (context) => {
  const { bed, folder, create } = await open(context);
  const [web = 0, dns = 0, first = 0, address = 0] = await freePorts(4);
  const running = bed.scope.name('web');
  await bed.scope.runContainer({ name: running, cmd: httpdCommand(), publish: { 80: web } });
  const stopped = await create('dns', {
    ExposedPorts: { '53/udp': {}, '54/tcp': {}, '9899/sctp': {} },
    HostConfig: {
      PortBindings: {
        '53/udp': [{ HostPort: String(dns) }],
        '54/tcp': [
          { HostIp: '127.0.0.1', HostPort: String(address) },
          { HostIp: '::1', HostPort: String(address) },
        ],
      },
    },
  });
  const ranges = await create('ranges', {
    ExposedPorts: { '7/tcp': {} },
    HostConfig: { PortBindings: { '7/tcp': [{ HostPort: `${first}-${first + 3}` }] } },
  });
  const second = await create('second', {
    ExposedPorts: { '80/tcp': {} },
    HostConfig: { PortBindings: { '80/tcp': [{ HostPort: String(web) }] } },
  });
  const inner = await create('inner', {
    ExposedPorts: { '6379/tcp': {} },
    Labels: { 'com.docker.compose.project': 'shop\n  evil: [', 'com.docker.compose.service': 'cache' },
  });
  const labelled = await create('labelled', {
    Labels: { 'lazy-proxy.enabled': 'true', 'lazy-proxy.ports': `${address + 1}:80` },
  });
  const removed = await create('removed', { HostConfig: { AutoRemove: true } });
  const made = await runCli(['init'], { cwd: folder.folder });
  expect(made).toMatchObject({ status: 0, stderr: '' });
  expect(made.stdout).toContain('lazy-proxy.yaml is written: ');
  expect(made.stdout).toContain(labelled);
  const text = await readFile(folder.configFile, 'utf8');
  expect(text).toContain(`  ${running}:\n    ports: ["${web}:80"]\n`);
  expect(text).toContain(
    `  ${stopped}:\n    ports: ["127.0.0.1:${address}:54", "[::1]:${address}:54"]\n    udp_ports: ["${dns}:53"]\n`,
  );
  expect(text).toContain(`  ${ranges}:\n    ports: ["${first}:7"]\n`);
  expect(text).toContain(`Port ${web}/tcp is taken by ${running} already`);
  expect(text).toContain(`  # ${second}:\n  #   ports: ["${web}:80"]\n`);
  expect(text).toContain(`  # ${inner}:\n  #   ports: ["6379:6379"]\n`);
  expect(text).toContain('Not relayed: 9899/sctp');
  expect(text).toMatch(new RegExp(`^# - ${labelled}: its labels say how it is served`, 'm'));
  expect(text).toMatch(new RegExp(`^# - ${removed}: the engine removes it when it stops`, 'm'));
  expect(await runCli(['validate'], { cwd: folder.folder })).toMatchObject({ status: 0 });
  // What is there stays.
  await writeFile(folder.configFile, 'mine\n');
  expect(await runCli(['init'], { cwd: folder.folder })).toMatchObject({ status: 1, stdout: '' });
  expect(await readFile(folder.configFile, 'utf8')).toBe('mine\n');
});

test('the proxy serves by the file once the container has given up its port', async (context) => {
  const { bed, folder } = await open(context);
  const [port = 0] = await freePorts(1);
  const name = bed.scope.name('web');
  const before = await bed.scope.createContainer({ name, cmd: httpdCommand(), publish: { 80: port } });
  const file = path.join(folder.folder, 'new.yaml');
  expect(await runCli(['init', file])).toMatchObject({ status: 0 });
  await before.remove();
  await bed.scope.createContainer({ name, cmd: httpdCommand() });
  const proxy = await bed.startProxy({ config: await readFile(file, 'utf8') });
  expect((await get(port)).body).toBe('hello');
  const { stdout } = await runCli(['status', name, '--url', proxy.statusUrl]);
  expect(stdout).toContain('awake');
});
