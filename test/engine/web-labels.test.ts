/** Containers whose labels ask for hosts, HTTP ports and logins, behind a front door of the file. */
import { once } from 'node:events';
import { connect } from 'node:tls';
import { describe, expect, type TestContext, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import type { TestContainer } from './support/container.ts';
import { get, getJson } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

interface Stage extends TestBed {
  readonly door: number;
  readonly proxy: ProxyProcess;
  /** Makes a stopped container that answers with its short name. */
  create(short: string, fields: ServiceFields): Promise<TestContainer>;
  /** The answer to a request for a host. */
  ask(
    host: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly body: string }>;
  isRunning(container: TestContainer): Promise<boolean>;
  problems(): Promise<readonly string[]>;
}

async function openStage({ onTestFinished }: TestContext): Promise<Stage> {
  const bed = await openTestBed({ onTestFinished });
  const [door = 0] = await freePorts(1);
  const proxy = await bed.startProxy({ config: JSON.stringify({ http: { listen: door } }) });
  return {
    ...{ ...bed, door, proxy },
    create: (short, fields) =>
      bed.scope.createContainer({
        name: bed.scope.name(short),
        cmd: httpdCommand({ body: short }),
        labels: bed.labels({ idle_timeout: '1s', ...fields }),
      }),
    async ask(host, headers = {}) {
      const { status, body } = await get(door, { headers: { ...headers, host } });
      return { status, body };
    },
    isRunning: async ({ name }) => {
      const { State } = await bed.scope.docker.getContainer(name).inspect();
      return State.Running;
    },
    async problems() {
      const problems = await getJson<{ readonly message: string }[]>(`${proxy.statusUrl}/problems`);
      return problems.map(({ message }) => message);
    },
  };
}

describe.concurrent('labels of the web', () => {
  test('lead by their hosts to containers behind one port, and wake only the one that is asked for', async (context) => {
    const stage = await openStage(context);
    const wiki = await stage.create('wiki', { hosts: ['wiki.lan'], http_port: 80 });
    const docs = await stage.create('docs', { hosts: ['*.docs.lan'], http_port: 80 });
    await waitUntil(async () => (await stage.ask('wiki.lan')).status === 200, {
      what: 'the host of a label',
    });
    expect(await stage.ask('WIKI.lan:80')).toEqual({ status: 200, body: 'wiki' });
    expect((await stage.ask('docs.lan')).status).toBe(404);
    expect((await stage.ask('127.0.0.1')).status).toBe(404);
    expect(await stage.isRunning(docs)).toBe(false);
    expect(await stage.ask('a.b.docs.lan')).toEqual({ status: 200, body: 'docs' });
    await waitUntil(async () => !(await stage.isRunning(wiki)), { what: 'the end of the idle one' });
  });

  test('give a host to the older container, and to the other one when that has gone', async (context) => {
    const stage = await openStage(context);
    const old = await stage.create('old', { hosts: ['x.lan'], http_port: 80 });
    await waitUntil(async () => (await stage.ask('x.lan')).status === 200, { what: 'the host of a label' });
    await stage.create('young', { hosts: ['x.lan'], http_port: 80 });
    const lost = `hosts: "x.lan" can't lead to "${stage.scope.name('young')}": "${old.name}" has it; it is taken over once free`;
    await waitUntil(async () => (await stage.problems()).includes(lost), { what: 'the conflict' });
    expect((await stage.ask('x.lan')).body).toBe('old');
    await stage.scope.docker.getContainer(old.name).remove({ force: true });
    await waitUntil(async () => (await stage.ask('x.lan')).body === 'young', { what: 'the new owner' });
    expect(await stage.problems()).not.toContain(lost);
  });

  test('let nobody in without the key, not by a port either, and wake nothing for them', async (context) => {
    const stage = await openStage(context);
    const [port = 0] = await freePorts(1);
    const guarded = await stage.create('guarded', {
      hosts: ['g.lan'],
      ports: `${port}:80`,
      api_key: ['k1', 'k2'],
    });
    await waitUntil(async () => (await stage.ask('g.lan')).status === 401, {
      what: 'the question for the key',
    });
    expect((await get(port)).status).toBe(401);
    expect((await get(port, { headers: { 'x-api-key': 'k3' } })).status).toBe(401);
    expect(await stage.isRunning(guarded)).toBe(false);
    expect((await get(port, { headers: { 'x-api-key': 'k2' } })).body).toBe('guarded');
    expect(await stage.ask('g.lan', { 'x-api-key': 'k1' })).toEqual({ status: 200, body: 'guarded' });
  });

  test('refuse a container whose password is no hash, and open nothing', async (context) => {
    const stage = await openStage(context);
    const [port = 0] = await freePorts(1);
    await stage.create('open', { ports: `${port}:80`, basic_auth: 'anna:s3cret' });
    await waitUntil(
      async () => (await stage.problems()).some((text) => text.includes('is not a bcrypt hash')),
      {
        what: 'the problem',
      },
    );
    expect((await stage.problems()).join()).not.toContain('s3cret');
    await expect(get(port)).rejects.toThrow('ECONNREFUSED');
  });

  test('end TLS with certificates that the proxy makes, in the domains of the file alone', async (context) => {
    const bed = await openTestBed(context);
    const [door = 0, port = 0] = await freePorts(2);
    const http = { https: `127.0.0.1:${door}`, self_signed_domains: ['lan'] };
    const proxy = await bed.startProxy({ config: JSON.stringify({ http }) });
    const { name } = await bed.scope.createContainer({
      ...{ name: bed.scope.name('wiki'), cmd: httpdCommand({ body: 'wiki' }) },
      labels: bed.labels({ hosts: ['wiki.lan', 'bank.example'], http_ports: `${port}:80`, tls: true }),
    });
    /** The names in the certificate that answers for a name; why none does, otherwise. */
    const greet = async (at: number, servername: string): Promise<string> => {
      const socket = connect({ port: at, host: '127.0.0.1', servername, rejectUnauthorized: false });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerX509Certificate()?.subjectAltName ?? '';
      } catch (error) {
        return String((error as NodeJS.ErrnoException).code);
      } finally {
        socket.destroy();
      }
    };
    await waitUntil(async () => (await greet(door, 'wiki.lan')) === 'DNS:wiki.lan', {
      what: 'the certificate of the host of a label',
    });
    expect(await greet(door, 'bank.example')).toMatch(/^ERR_SSL/);
    await waitUntil(async () => (await greet(port, 'nas.lan')) === 'DNS:nas.lan', {
      what: 'TLS at the port of a label',
    });
    expect(await greet(port, 'bank.example')).toBe(`DNS:wiki.lan, DNS:${name}.lan, DNS:lan`);
    await expect(get(port)).rejects.toThrow();
    const { State } = await bed.scope.docker.getContainer(name).inspect();
    expect(State.Running).toBe(false);
    const problems = await getJson<{ readonly message: string }[]>(`${proxy.statusUrl}/problems`);
    expect(problems.map(({ message }) => message)).toContain(
      'hosts: no certificate is made for bank.example, outside of http.self_signed_domains, so nobody gets that over HTTPS',
    );
  });
});
