import { mkdir, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

const COMMAND = 'print-effective-config';
const NO_LABELS = [COMMAND, '--no-labels'];
const FILE = `defaults: { start_timeout: 45s }
services:
  db:
    container: my-postgres
    ports: ["5432:5432", "9000-9001:80-81"]
    allow_list: [192.168.0.0/16]
    cron_start: "30  8 * * 1-5"
  hello: { command: [node, server.js], cwd: app, ports: ["9000:3000", "127.0.0.1:9200:1"], idle_timeout: 0 }
`;
/** Both services want port 9000. */
const GOOD = FILE.replace('"9000:3000", ', '');
const ENV = { TZ: 'Europe/Paris', STATUS_PORT: '9101' };

describe('lazy-proxy print-effective-config', () => {
  test('prints YAML with every value', async () => {
    const folder = await createFolder({ 'lazy-proxy.yaml': GOOD });
    const args = [...NO_LABELS, '--show-secrets'];
    const { status, stdout, stderr } = await runProgram(args, { cwd: folder, env: ENV });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(parse(stdout)).toMatchObject({
      status: { listen: '9101' },
      docker: { labels: false },
      services: {
        db: {
          container: 'my-postgres',
          ports: ['5432:5432', '9000-9001:80-81'],
          allow_list: ['192.168.0.0/16'],
          idle_timeout: '2m',
          start_timeout: '45s',
          cron_start: '30 8 * * 1-5',
          timezone: 'Europe/Paris',
        },
        hello: { command: ['node', 'server.js'], cwd: `${folder}/app`, idle_timeout: '0' },
      },
    });
  });

  test.each([
    ['by a flag', ['--config', 'conf/x.yaml'], {}],
    ['by a variable', [], { CONFIG_PATH: 'conf/x.yaml' }],
  ])('prints whole paths, also of a file that is named %s by a relative one', async (_how, args, env) => {
    const folder = await createFolder();
    await mkdir(`${folder}/conf`);
    await writeFile(`${folder}/conf/x.yaml`, GOOD);
    const { stdout } = await runProgram([...NO_LABELS, ...args], { cwd: folder, env });
    expect(parse(stdout).services.hello.cwd).toBe(`${folder}/conf/app`);
  });

  test('prints the same as JSON', async () => {
    const folder = await createFolder({ 'lazy-proxy.yaml': GOOD });
    const yaml = await runProgram(NO_LABELS, { cwd: folder, env: ENV });
    const json = await runProgram([...NO_LABELS, '--format', 'json'], { cwd: folder, env: ENV });
    expect(JSON.parse(json.stdout)).toEqual(parse(yaml.stdout));
  });

  test('says where each value comes from', async () => {
    const folder = await createFolder({ 'lazy-proxy.yaml': GOOD });
    const { stdout } = await runProgram([...NO_LABELS, '--show-origin'], { cwd: folder, env: ENV });
    const comments = stdout.split('\n').map((line) => line.trim());
    expect(comments).toEqual(
      expect.arrayContaining([
        'listen: "9101" # $STATUS_PORT',
        'labels: false # --no-labels',
        'container: my-postgres # lazy-proxy.yaml:4:16',
        'idle_timeout: 2m # default',
        'start_timeout: 45s # lazy-proxy.yaml:1:28',
        'timezone: Europe/Paris # $TZ',
        'ignore_labels: true # what the labels say is in this file',
      ]),
    );
  });

  test.each(['yaml', 'json'])('reads its own %s back to the same', async (format) => {
    const folder = await createFolder({ 'lazy-proxy.yaml': GOOD });
    const shown = ['--format', format, '--show-secrets'];
    const first = await runProgram([...NO_LABELS, ...shown], { cwd: folder, env: ENV });
    const again = await createFolder({ 'printed.yaml': first.stdout });
    const second = await runProgram([COMMAND, ...shown, '--config', 'printed.yaml'], { cwd: again });
    expect(second).toEqual(first);
  });

  test('shows secrets when it is told to, and reads them back to the same', async () => {
    const text = `status: { token: T0KEN }
services:
  hello:
    command: [x]
    env: { PASSWORD: T0KEN }
    ports: ["9000:3000"]
    webhook_url: https://hooks.example.com/T0KEN
    http_healthcheck: http://localhost:1/T0KEN
`;
    const folder = await createFolder({ 'lazy-proxy.yaml': text });
    const shown = await runProgram([...NO_LABELS, '--show-origin'], { cwd: folder });
    expect(shown.stdout).not.toContain('T0KEN');
    expect(parse(shown.stdout)).toMatchObject({
      status: { token: '***' },
      services: {
        hello: {
          env: { PASSWORD: '***' },
          webhook_url: '***',
          http_healthcheck: 'http://localhost:1/***',
        },
      },
    });
    const hidden = await createFolder({ 'lazy-proxy.yaml': shown.stdout });
    const refused = await runProgram(NO_LABELS, { cwd: hidden });
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr.match(/\*\*\* stands for a hidden value; write the value itself/g)).toHaveLength(4);
    const whole = await runProgram([...NO_LABELS, '--show-secrets'], { cwd: folder });
    const again = await createFolder({ 'lazy-proxy.yaml': whole.stdout });
    const second = await runProgram([...NO_LABELS, '--show-secrets'], { cwd: again });
    expect(second).toEqual(whole);
    expect(whole.stdout.match(/T0KEN/g)).toHaveLength(4);
  });

  test('reads workloads of every kind back to the same', async () => {
    const text = `backend: kubernetes
kubernetes: { namespaces: [shop], lease_duration: 20s }
services:
  api: { ports: ["9000:http"], dependants: [worker] }
  shop/db: { statefulset: db, upstream: service, ports: ["9001:5432"] }
  web: { swarm_service: web, ports: ["9002:80"] }
`;
    const folder = await createFolder({ 'lazy-proxy.yaml': text });
    const first = await runProgram(NO_LABELS, { cwd: folder });
    expect({ status: first.status, services: parse(first.stdout).services }).toMatchObject({
      status: 0,
      services: {
        api: {
          deployment: 'shop/api',
          service_name: 'api',
          upstream: 'endpoints',
          dependants: ['shop/worker'],
        },
        'shop/db': { statefulset: 'shop/db', upstream: 'service' },
        web: { swarm_service: 'web' },
      },
    });
    const again = await createFolder({ 'printed.yaml': first.stdout });
    const second = await runProgram([COMMAND, '--config', 'printed.yaml'], { cwd: again });
    expect(second.stdout).toBe(first.stdout);
  });

  test('exits with 1 and prints nothing but the problems when the file has mistakes', async () => {
    const folder = await createFolder({ 'lazy-proxy.yaml': FILE });
    const { status, stdout, stderr } = await runProgram(NO_LABELS, { cwd: folder });
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'lazy-proxy.yaml:8:58 error ports[0]: "9000:3000" listens on tcp *:9000, which service "db" does already (lazy-proxy.yaml:5:26)\n',
    });
  });

  test('exits with 2 when the file or the engine can not be read', async () => {
    const folder = await createFolder();
    const absent = await runProgram([...NO_LABELS, '--config', 'gone.yaml'], { cwd: folder });
    expect(absent.status).toBe(2);
    expect(absent.stderr).toContain("gone.yaml can't be read: ENOENT");
    const unreachable = await runProgram([COMMAND, '--docker-socket', '/nowhere.sock'], { cwd: folder });
    expect(unreachable.status).toBe(2);
    expect(unreachable.stderr).toMatch(
      /^lazy-proxy: can't read the labels of the workloads: .*--no-labels leaves them out/,
    );
  });
});
