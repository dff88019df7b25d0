import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const JSON_LOG = { LOG_FORMAT: 'json' };

/** What the log says at a level. */
function logged(stdout: string, level: string): string[] {
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; msg: string });
  return lines.filter((line) => line.level === level).map(({ msg }) => msg);
}

describe('lazy-proxy run', () => {
  test.each([
    ['--config', ['--config', 'gone.yaml'], {}],
    ['LAZY_PROXY_CONFIG', [], { LAZY_PROXY_CONFIG: 'gone.yaml' }],
  ])('exits with 2 when the file that %s names is not there', async (_by, args, env) => {
    const folder = await createFolder();
    const { status, stdout } = await runProgram(['run', ...args], {
      cwd: folder,
      env: { ...JSON_LOG, ...env },
    });
    expect({ status, errors: logged(stdout, 'error') }).toEqual({
      status: 2,
      errors: ['gone.yaml:1:1: there is no such file', "can't start: the configuration file has errors"],
    });
  });

  test('says that there is nothing to serve where there is neither a file nor labels', async () => {
    const { log } = await startProgram({
      cwd: await createFolder(),
      args: ['run', '--no-labels', '--status-port', '0'],
      env: { PATH: process.env['PATH'], ...JSON_LOG },
    });
    expect(logged(log(), 'warn')).toEqual([
      'neither a configuration file nor labels (--no-labels): there is nothing to serve',
    ]);
  });

  test('exits with 2 and names every problem when the file is broken', async () => {
    const text =
      'services:\n  a: { ports: ["80:http"], idle_timout: 5m, cwd: /srv }\n  b: { allow_list: [all] }\n';
    const folder = await createFolder({ 'lazy-proxy.yaml': text });
    const { status, stdout } = await runProgram([], { cwd: folder, env: JSON_LOG });
    expect(status).toBe(2);
    expect(logged(stdout, 'error')).toEqual([
      `lazy-proxy.yaml:2:16: ports[0]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only`,
      'lazy-proxy.yaml:2:28: idle_timout: unknown key; did you mean "idle_timeout"?',
      'lazy-proxy.yaml:3:21: allow_list[0]: "all" is not an IP address or CIDR range such as 192.168.0.0/16',
      "can't start: the configuration file has errors",
    ]);
    expect(logged(stdout, 'warn')).toEqual(['lazy-proxy.yaml:2:45: cwd: has no effect without command']);
  });

  test('exits with 2 and says why when the status port is taken', async () => {
    const holder = createServer().listen(0);
    await once(holder, 'listening');
    onTestFinished(() => void holder.close());
    const { port } = holder.address() as { port: number };
    const folder = await createFolder({ 'lazy-proxy.yaml': 'docker: { labels: false }\nservices: {}\n' });
    const { status, stdout } = await runProgram(['run', '--status-port', String(port)], {
      cwd: folder,
      env: JSON_LOG,
    });
    expect({ status, errors: logged(stdout, 'error') }).toEqual({
      status: 2,
      errors: [
        `can't start: the status server can't listen on *:${port}: another process holds the port; choose another one with status.listen, STATUS_PORT or --status-port`,
      ],
    });
  });

  test('warns of a variable that is not usable, with the value that applies', async () => {
    const folder = await createFolder();
    const env = { ...JSON_LOG, IDLE_TIMEOUT_SECS: 'soon', LAZY_PROXY_CONFIG: 'gone.yaml' };
    const { stdout } = await runProgram([], { cwd: folder, env });
    expect(logged(stdout, 'warn')).toEqual([
      '$IDLE_TIMEOUT_SECS: "soon" is not a number of seconds such as 90; what the file says applies, or else the default of 120',
    ]);
  });
});

test('lazy-proxy run says of a long file what it says of a short one', async () => {
  const mistake = 'services:\n  a: { ports: ["80:80"], idle_timout: 5m }\n';
  // Long files are read by another process.
  const files = { 'short.yaml': mistake, 'long.yaml': mistake.padEnd(10_000, '#') };
  const folder = await createFolder(files);
  const told = Object.keys(files).map(async (name) => {
    const { status, stdout } = await runProgram(['run', '--config', name], { cwd: folder, env: JSON_LOG });
    return { status, errors: logged(stdout.replaceAll(name, 'x.yaml'), 'error') };
  });
  const [short, long] = await Promise.all(told);
  expect(short).toMatchObject({
    status: 2,
    errors: [expect.stringContaining('idle_timout'), expect.anything()],
  });
  expect(long).toEqual(short);
});

describe('lazy-proxy run while it starts', () => {
  test('takes SIGHUP, and ends in order when SIGTERM comes', async () => {
    const folder = await createFolder();
    // An engine that takes connections and says nothing holds up the start.
    const socket = path.join(folder, 'silent.sock');
    const engine = createServer(() => {}).listen(socket);
    await once(engine, 'listening');
    onTestFinished(() => void engine.close());
    const env = {
      PATH: process.env['PATH'],
      LOG_FORMAT: 'json',
      DOCKER_HOST: `unix://${socket}`,
      STATUS_PORT: '0',
    };
    const { child } = await startProgram({ cwd: folder, args: [], env, until: undefined });
    await once(engine, 'connection');
    child.kill('SIGHUP');
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
  });
});

describe('lazy-proxy', () => {
  test('shows its commands and options', async () => {
    const { status, stdout } = await runProgram(['--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: lazy-proxy/);
    for (const command of ['run', 'validate', 'print-effective-config'])
      expect(stdout).toContain(`  ${command} `);
  });

  test('shows its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await runProgram(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([
    [
      ['vaildate', 'x.yaml'],
      'error: "vaildate" is not a command; there are run, init, validate, schema, print-effective-config, healthcheck, ca, status, explain, diff, wake, sleep, hold, release, events, completion; did you mean "validate"?',
    ],
    [['print-effective-config', 'x.yaml'], 'error: a file is named by a flag here; write "--config x.yaml"'],
    [['run', 'x.yaml'], 'error: "x.yaml" is not a command; did you mean "run --config x.yaml"?'],
    [['run', '--bogus'], "error: unknown option '--bogus'"],
    [['run', '--config'], "error: option '-c, --config <file>' argument missing"],
    [
      ['run', '--status-port', '70000'],
      "error: option '--status-port <port>' argument '70000' is invalid. It must be a port from 1 to 65535, or 0 for off.",
    ],
    [
      ['run', '--label-prefix', 'a,b,a'],
      `error: option '--label-prefix <prefixes>' argument 'a,b,a' is invalid. "a" is there already; leave it out.`,
    ],
    [
      ['print-effective-config', '--label-prefix', 'lazy.'],
      `error: option '--label-prefix <prefixes>' argument 'lazy.' is invalid. "lazy." is not a prefix such as lazy-proxy; write "lazy".`,
    ],
  ])('exits with 2 and says what is wrong when it is called as %s', async (args, message) => {
    const { status, stdout, stderr } = await runProgram(args);
    expect({ status, stdout, line: stderr.split('\n')[0] }).toEqual({ status: 2, stdout: '', line: message });
  });
});
