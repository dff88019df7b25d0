import { once } from 'node:events';
import { rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort, freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

interface Line {
  readonly level: string;
  readonly event: string;
  readonly msg: string;
}

interface Running {
  readonly folder: string;
  readonly statusUrl: string;
  /** What was logged since the last call, once `count` lines are there, at level info and above. */
  next(count?: number): Promise<readonly string[]>;
  write(text: string, name?: string): Promise<void>;
  hangUp(): void;
}

/** A proxy without engines, ready. */
async function startProxy(
  text: string,
  options: { readonly name?: string; readonly cwd?: string } = {},
): Promise<Running> {
  const folder = options.cwd ?? (await createFolder());
  const port = await freePort();
  const write = async (content: string, name = options.name ?? 'lazy-proxy.yaml') => {
    const file = path.join(folder, name);
    await writeFile(`${file}.new`, `docker: { labels: false }\n${content}`);
    await rename(`${file}.new`, file);
  };
  await write(text);
  const env = { PATH: process.env['PATH'], LOG_FORMAT: 'json', STATUS_PORT: String(port) };
  const { child, log } = await startProgram({ cwd: folder, args: [], env });
  let seen = 0;
  const lines = () =>
    log()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  const next = async (count = 1) => {
    await expect.poll(() => lines().length, { timeout: 10_000 }).toBeGreaterThanOrEqual(seen + count);
    const fresh = lines().slice(seen);
    seen += fresh.length;
    return fresh.map(({ level, msg }) => `${level}: ${msg}`);
  };
  await next();
  return {
    folder,
    statusUrl: `http://127.0.0.1:${port}`,
    next,
    write,
    hangUp: () => void child.kill('SIGHUP'),
  };
}

const service = (port: number, rest = '') =>
  `services: { a: { command: [sleep, "9"], ports: ["127.0.0.1:${port}:1"]${rest} } }\n`;
const REFUSED = 'error: lazy-proxy.yaml is refused; the last good configuration stays in force';
const HANGUP = 'info: SIGHUP: reading the configuration file again';

describe('a change of the file', () => {
  test('that mends a broken file is told, also where it means the same as before', async () => {
    const port = await freePort();
    const proxy = await startProxy(service(port));
    await proxy.write('services: [\n');
    expect((await proxy.next(2)).at(-1)).toBe(REFUSED);
    await proxy.write(service(port));
    expect(await proxy.next()).toEqual(['info: lazy-proxy.yaml: good again, in force; nothing changed']);
    await proxy.write('services: [\n');
    await proxy.next(2);
    await proxy.write(service(port, ', idle_timeout: 7s'));
    expect(await proxy.next()).toEqual([
      'info: lazy-proxy.yaml: good again, in force; service a changed: idle_timeout',
    ]);
  });

  test('names the fields that changed', async () => {
    const [port = 0, other = 0] = await freePorts(2);
    const proxy = await startProxy(service(port));
    await proxy.write(service(other, ', idle_timeout: 7s, env: { A: b }, udp_queue_age: 3s'));
    const [line] = await proxy.next();
    expect(line).toContain('service a changed: env, idle_timeout, ports, udp_queue_age;');
    await proxy.write(service(other, ', idle_timeout: 7s, env: { A: b }, udp_queue_age: 3s # the same'));
  });

  test('is answered when SIGHUP asks, whatever came of it', async () => {
    const port = await freePort();
    const proxy = await startProxy(service(port));
    proxy.hangUp();
    expect(await proxy.next(2)).toEqual([HANGUP, 'info: lazy-proxy.yaml: nothing changed']);
    await proxy.write(`# a comment\n${service(port)}`);
    expect(await proxy.next()).toEqual(['info: lazy-proxy.yaml: nothing changed']);
    await proxy.write('services: [\n');
    await proxy.next(2);
    proxy.hangUp();
    expect(await proxy.next(2)).toEqual([
      HANGUP,
      'error: lazy-proxy.yaml: nothing changed, and it is still refused; the last good configuration stays in force',
    ]);
  });

  test('of a setting that waits for a restart is compared with what is in force, and stays at /problems', async () => {
    const port = await freePort();
    const proxy = await startProxy(service(port));
    const problems = async () =>
      ((await (await fetch(`${proxy.statusUrl}/problems`)).json()) as { message: string }[]).map(
        ({ message }) => message,
      );
    await proxy.write(`relay: stream\nudp_queue_total: 64000000\n${service(port)}`);
    expect(await proxy.next(3)).toEqual([
      'info: lazy-proxy.yaml: settings changed: relay, udp_queue_total',
      'warn: lazy-proxy.yaml:2:8: relay: the change takes effect at the next start',
      'warn: lazy-proxy.yaml:3:18: udp_queue_total: the change takes effect at the next start',
    ]);
    expect(await problems()).toEqual([
      'relay: the change takes effect at the next start',
      'udp_queue_total: the change takes effect at the next start',
    ]);
    await proxy.write(`relay: auto\n${service(port)}`);
    expect(await proxy.next()).toEqual(['info: lazy-proxy.yaml: settings changed: relay, udp_queue_total']);
    expect(await problems()).toEqual([]);
  });

  test('of how many workloads may be starting is in force at once', async () => {
    const [first = 0, second = 0, deaf = 0] = await freePorts(3);
    const services = (max: string) =>
      `max_starting: ${max}\nservices:\n${[first, second]
        .map((port) => `  s${port}: { command: [sleep, "60"], ports: ["127.0.0.1:${port}:${deaf}"] }\n`)
        .join('')}`;
    const proxy = await startProxy(services('1'));
    for (const port of [first, second]) {
      const client = connect(port, '127.0.0.1').on('error', () => {});
      onTestFinished(() => void client.destroy());
      const [line] = await proxy.next();
      expect(line).toContain(
        port === first
          ? `info: s${first} is waking: for `
          : `info: s${second} waits for its turn to start: 1 of 1 starts are under way`,
      );
    }
    await proxy.write(services('0'));
    const [refusal] = await proxy.next(2);
    expect(refusal).toBe(
      'error: lazy-proxy.yaml:2:15: max_starting: 0 is not a whole number of at least 1, or auto',
    );
    await proxy.write(services('2'));
    expect((await proxy.next(2)).join('\n')).toContain(`info: s${second} is waking: for `);
  });

  test('says that a listener is open once it is, and not before', async () => {
    const [port = 0, taken = 0] = await freePorts(2);
    const holder = createServer().listen(taken, '127.0.0.1');
    await once(holder, 'listening');
    onTestFinished(() => void holder.close());
    const proxy = await startProxy('services: {}\n');
    await proxy.write(
      `services: { a: { command: [sleep, "9"], ports: ["127.0.0.1:${port}:1", "127.0.0.1:${taken}:1"] } }\n`,
    );
    const lines = (await proxy.next(3)).filter((line) => !line.includes('asleep'));
    expect(lines).toEqual([
      `error: a can't listen on 127.0.0.1:${taken}/tcp: another process holds the port; trying again until it can`,
      `info: lazy-proxy.yaml: service a added; listener 127.0.0.1:${port}/tcp opened for a; listener 127.0.0.1:${taken}/tcp not yet opened for a`,
    ]);
  });
});

test('a file that is deleted is named, and not another one that might be there', async () => {
  const port = await freePort();
  const proxy = await startProxy(service(port));
  await rm(path.join(proxy.folder, 'lazy-proxy.yaml'));
  expect(await proxy.next(2)).toEqual(['error: lazy-proxy.yaml:1:1: there is no such file', REFUSED]);
});
