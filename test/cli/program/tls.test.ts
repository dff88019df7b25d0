/** TLS of the built program with certificates that it makes itself, seen by curl, OpenSSL and Node. */
import { execFile, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { runProgram } from '../../support/run-program.ts';
import { type RunningProgram, startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const run = promisify(execFile);

/** Notes each start, and answers: `http` with what it was asked, `tcp` with what it got. */
const APP = `
  const [kind, port, name] = process.argv.slice(2);
  require('node:fs').appendFileSync('events', name + ' started\\n');
  const answer = ({ headers, httpVersion }) => JSON.stringify({ name, headers, httpVersion });
  const server = kind === 'http'
    ? require('node:http').createServer((request, response) => response.end(answer(request)))
    : require('node:net').createServer((socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(Number(port), '127.0.0.1');
`;

interface Bed {
  readonly folder: string;
  readonly state: string;
  readonly door: number;
  /** Plain. */
  readonly front: number;
  readonly ports: readonly number[];
  readonly status: number;
  start(): Promise<RunningProgram>;
  started(): Promise<readonly string[]>;
  /** What `lazy-proxy ca` prints, in a file. */
  ca(): Promise<string>;
}

async function makeBed(
  services: (ports: readonly number[]) => Readonly<Record<string, object>>,
  http: object = { self_signed_domains: ['home.arpa'] },
): Promise<Bed> {
  const [door = 0, front = 0, status = 0, ...ports] = await freePorts(11);
  const folder = await createFolder({ 'app.cjs': APP, events: '' });
  const state = path.join(folder, 'state');
  const entries = Object.entries(services(ports)).map(([name, fields]) => [name, { cwd: folder, ...fields }]);
  const file = {
    http: { listen: `127.0.0.1:${front}`, https: `127.0.0.1:${door}`, ...http },
    ...{ status: { listen: `127.0.0.1:${status}` }, docker: { labels: false } },
    services: Object.fromEntries(entries),
  };
  await writeFile(path.join(folder, 'lazy-proxy.yaml'), JSON.stringify(file));
  const env = { ...process.env, LAZY_PROXY_STATE_DIR: state };
  return {
    ...{ folder, state, door, front, ports, status },
    start: () => startProgram({ cwd: folder, env }),
    started: async () =>
      [...(await readFile(path.join(folder, 'events'), 'utf8')).matchAll(/^(\w+) started$/gm)].map(
        ([, name = '']) => name,
      ),
    async ca() {
      const { stdout } = await runProgram(['ca'], { cwd: folder, env });
      const pem = path.join(folder, 'ca.pem');
      await writeFile(pem, stdout);
      return pem;
    },
  };
}

const app = (kind: 'http' | 'tcp', port: number | undefined, name: string) => ({
  command: [process.execPath, 'app.cjs', kind, String(port), name],
});

/** Asks with curl, which trusts `ca` alone, under a name that leads here. */
async function curl(
  url: string,
  { ca, args = [] }: { readonly ca: string; readonly args?: readonly string[] },
): Promise<string> {
  const { hostname, port } = new URL(url);
  const resolve = ['--resolve', `${hostname}:${port}:127.0.0.1`, '--cacert', ca];
  const { stdout } = await run('curl', ['-sS', '--noproxy', '*', ...resolve, ...args, url]);
  return stdout;
}

/** Speaks TLS with OpenSSL, which trusts `ca` alone and checks the name; resolves to all that it says. */
async function greet(
  port: number | undefined,
  { ca, name, sent }: { readonly ca: string; readonly name: string; readonly sent: string },
): Promise<string> {
  const check = ['-CAfile', ca, '-verify_return_error', '-verify_hostname', name];
  const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', name, '-quiet', ...check];
  const client = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void client.kill());
  client.stdin.on('error', () => {}).write(sent);
  let said = '';
  for (const stream of [client.stdout, client.stderr])
    stream.on('data', (chunk) => {
      said += String(chunk);
      if (said.includes(sent)) client.kill();
    });
  await once(client, 'close');
  return said;
}

/** The names in the certificate that a client gets, whoever has signed it. */
async function namesAt(port: number | undefined, servername?: string): Promise<string> {
  const socket = connect({
    ...{ port: port ?? 0, host: '127.0.0.1', rejectUnauthorized: false },
    ...(servername !== undefined && { servername }),
  });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket.getPeerX509Certificate()?.subjectAltName ?? '';
}

describe('certificates that the proxy makes', () => {
  test('serve the hosts in its domains, and stay trusted over a restart', async () => {
    const bed = await makeBed(
      (ports) => ({
        wiki: {
          ...app('http', ports[0], 'wiki'),
          hosts: ['wiki.home.arpa', 'wiki.lan'],
          http_port: ports[0],
        },
        photos: { ...app('http', ports[1], 'photos'), hosts: ['*.photos.home.arpa'], http_port: ports[1] },
      }),
      { self_signed_domains: ['home.arpa'], redirect: true },
    );
    expect(
      await runProgram(['ca'], { cwd: bed.folder, env: { LAZY_PROXY_STATE_DIR: bed.state } }),
    ).toMatchObject({
      ...{ status: 1, stdout: '' },
      stderr: expect.stringContaining(`there is no certificate authority in ${bed.state}`),
    });
    const program = await bed.start();
    await program.logged('made a certificate authority for home.arpa; devices have to trust its certificate');
    const ca = await bed.ca();
    const pem = await readFile(ca, 'utf8');
    expect(new X509Certificate(pem).ca).toBe(true);
    expect(pem).not.toContain('PRIVATE');
    expect((await stat(path.join(bed.state, 'authority.pem'))).mode & 0o777).toBe(0o600);

    const ask = (host: string) => curl(`https://${host}:${bed.door}/`, { ca });
    expect(JSON.parse(await ask('wiki.home.arpa'))).toMatchObject({
      ...{ name: 'wiki', headers: { host: `wiki.home.arpa:${bed.door}`, 'x-forwarded-proto': 'https' } },
    });
    expect(JSON.parse(await ask('a.b.photos.home.arpa'))).toMatchObject({ name: 'photos' });
    // No service has it, it is outside of the domains, or is both.
    for (const host of ['blog.home.arpa', 'wiki.lan', 'home.arpa', 'bank.example'])
      await expect(ask(host), host).rejects.toThrow(/curl: \(35\)/);
    const redirect = (host: string) =>
      curl(`http://${host}:${bed.front}/a`, {
        ca,
        args: ['-o', '/dev/null', '-w', '%{http_code} %{redirect_url}'],
      });
    expect(await redirect('wiki.home.arpa')).toBe(`308 https://wiki.home.arpa:${bed.door}/a`);
    expect(await redirect('wiki.lan')).toBe('200 ');
    expect(program.linesWith('wiki.lan').join()).toContain(
      'no certificate is made for wiki.lan, outside of http.self_signed_domains',
    );

    program.child.kill('SIGTERM');
    await once(program.child, 'exit');
    const again = await bed.start();
    expect(JSON.parse(await ask('wiki.home.arpa'))).toMatchObject({ name: 'wiki' });
    expect(again.linesWith('certificate authority')).toEqual([]);
    expect(await readFile(await bed.ca(), 'utf8')).toBe(pem);
  });

  test('are used at the TCP and HTTP ports of services with tls: true', async () => {
    const bed = await makeBed((ports) => ({
      cache: { ...app('tcp', ports[0], 'cache'), ports: [`127.0.0.1:${ports[1]}:${ports[0]}`], tls: true },
      wiki: { ...app('http', ports[2], 'wiki'), hosts: ['wiki.home.arpa'], http_port: ports[2] },
      docs: {
        ...{ ...app('http', ports[3], 'docs'), tls: true },
        ...{
          http_ports: [`127.0.0.1:${ports[4]}:${ports[3]}`],
          ports: [`127.0.0.1:${ports[5]}:${ports[3]}`],
        },
      },
      keyed: {
        ...{ ...app('http', ports[6], 'keyed'), tls: true, api_key: ['k3y'] },
        ports: [`127.0.0.1:${ports[7]}:${ports[6]}`],
      },
    }));
    await bed.start();
    const ca = await bed.ca();
    const [, cache, , , docs, raw, , keyed] = bed.ports;
    // In the clear nothing is served, and nothing wakes.
    for (const port of [docs, keyed])
      await expect(run('curl', ['-sS', `http://127.0.0.1:${port}/`])).rejects.toThrow(/curl: \((52|56)\)/);
    expect(await bed.started()).toEqual([]);

    expect(await greet(cache, { ca, name: 'cache.home.arpa', sent: 'PING' })).toContain('PING');
    // The machine has a name in the domain, by which all its ports are reached.
    expect(await greet(cache, { ca, name: 'nas.home.arpa', sent: 'PING' })).toContain('PING');
    expect(await greet(cache, { ca, name: 'bank.example', sent: 'PING' })).toMatch(/hostname mismatch/i);
    expect(await namesAt(cache)).toBe('DNS:cache.home.arpa, DNS:home.arpa');
    expect(await namesAt(cache, 'nas.home.arpa')).toBe('DNS:nas.home.arpa');
    // That host belongs to another service.
    expect(await namesAt(cache, 'wiki.home.arpa')).toBe('DNS:cache.home.arpa, DNS:home.arpa');

    for (const [args, version] of [
      [['--http1.1'], '1.1'],
      [['--http2'], '2'],
    ] as const) {
      const format = ['-w', '\n%{http_version}'];
      const answer = await curl(`https://docs.home.arpa:${docs}/`, { ca, args: [...args, ...format] });
      const [body = '', spoken] = answer.split('\n');
      expect(spoken).toBe(version);
      expect(JSON.parse(body)).toMatchObject({ name: 'docs', headers: { 'x-forwarded-proto': 'https' } });
    }
    // Bytes go to what speaks HTTP by itself.
    expect(await curl(`https://docs.home.arpa:${raw}/`, { ca })).toContain('"name":"docs"');
    // Whoever names no server gets the certificate with the service's own names.
    const args = ['--connect-to', `docs.home.arpa:${docs}:127.0.0.1:${docs}`, '-k'];
    expect(await curl(`https://127.0.0.1:${docs}/`, { ca, args })).toContain('"name":"docs"');
    const login = (header: readonly string[]) =>
      curl(`https://nas.home.arpa:${keyed}/`, { ca, args: ['-w', ' %{http_code}', ...header] });
    expect(await login([])).toMatch(/ 401$/);
    expect(await bed.started()).not.toContain('keyed');
    expect(await login(['-H', 'X-API-Key: k3y'])).toMatch(/"name":"keyed".* 200$/);
  });

  test('are signed by nobody else where no domains are given', async () => {
    const bed = await makeBed(
      (ports) => ({
        cache: { ...app('tcp', ports[0], 'cache'), ports: [`127.0.0.1:${ports[1]}:${ports[0]}`], tls: true },
      }),
      {},
    );
    const program = await bed.start();
    expect(await namesAt(bed.ports[1])).toBe('DNS:cache, DNS:localhost');
    const socket = connect({ port: bed.ports[1] ?? 0, host: '127.0.0.1', rejectUnauthorized: false });
    socket.end('PING');
    expect(await text(socket)).toBe('PING');
    expect(program.linesWith('authority')).toEqual([]);
    expect((await readdir(bed.state)).filter((name) => name.startsWith('authority'))).toEqual([]);
  });
});
