import { rename, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { expect, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

/** Answers each request with its arguments, after the second one in ms. */
const APP = `const [, , port, name, delay = 0] = process.argv;
require('node:http').createServer((_, response) => {
  response.write(name);
  setTimeout(() => response.end('.'), Number(delay));
}).listen(port, '127.0.0.1');`;

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function ask(port: number, host: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, headers: { ...headers, host }, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part: string) => (body += part));
        response.on('end', () => resolve({ status: response.statusCode, body }));
      },
    );
    sent.on('error', reject).end();
  });
}

async function startProxy(text: string) {
  const folder = await createFolder({ 'app.cjs': APP });
  const write = async (content: string) => {
    const file = path.join(folder, 'lazy-proxy.yaml');
    await writeFile(`${file}.new`, `docker: { labels: false }\n${content}`);
    await rename(`${file}.new`, file);
  };
  await write(text);
  const [statusPort = 0] = await freePorts(1);
  const env = { PATH: process.env['PATH'], LOG_FORMAT: 'json', STATUS_PORT: String(statusPort) };
  const { log } = await startProgram({ cwd: folder, args: [], env });
  const has = (text: string) => expect.poll(log, { timeout: 10_000 }).toContain(text);
  await has('"event":"ready"');
  return { write, has, statusUrl: `http://127.0.0.1:${statusPort}` };
}

function app(port: number, name: string, more: string, delayMs = 0): string {
  return `  ${name}: {command: [${JSON.stringify(process.execPath)}, app.cjs, "${port}", ${name}, "${delayMs}"], http_port: ${port}, ${more}}`;
}

test('hosts and front doors move by a reload, and a request under way is served to its end', async () => {
  const [door = 0, other = 0, a = 0, b = 0] = await freePorts(4);
  const base = (hosts: string, doors: string) =>
    [
      `http: {listen: [${doors}]}`,
      'services:',
      app(a, 'wiki', `hosts: [${hosts}]`, 1_500),
      app(b, 'docs', 'hosts: ["*.docs.lan"]'),
    ].join('\n');
  const proxy = await startProxy(base('wiki.lan', `"127.0.0.1:${door}"`));
  expect(await ask(door, 'a.docs.lan')).toEqual({ status: 200, body: 'docs.' });
  expect((await ask(door, 'nobody.lan')).status).toBe(404);

  const underWay = ask(door, 'wiki.lan');
  await proxy.has('wiki is awake');
  await proxy.write(base('new.lan', `"127.0.0.1:${other}"`));
  await proxy.has('hosts of wiki set: new.lan');
  await proxy.has(`front door 127.0.0.1:${door}/http closed`);
  expect(await underWay).toEqual({ status: 200, body: 'wiki.' });
  await expect(ask(door, 'new.lan')).rejects.toThrow('ECONNREFUSED');
  expect(await ask(other, 'new.lan')).toEqual({ status: 200, body: 'wiki.' });
  expect((await ask(other, 'wiki.lan')).status).toBe(404);
});

test('ports beside a login are asked for it, and never relay bytes', async () => {
  const [port = 0, target = 0] = await freePorts(2);
  const proxy = await startProxy(
    [
      'services:',
      app(target, 'reports', `ports: ["127.0.0.1:${port}:${target}"], api_key: [k1]`).replace(
        /http_port: \d+, /,
        '',
      ),
    ].join('\n'),
  );
  expect((await ask(port, 'any')).status).toBe(401);
  expect(await ask(port, 'any', { 'x-api-key': 'k1' })).toEqual({ status: 200, body: 'reports.' });
  const config = (await (await fetch(`${proxy.statusUrl}/api/config`)).json()) as {
    readonly services: Readonly<Record<string, Readonly<Record<string, { readonly value: unknown }>>>>;
  };
  expect(config.services['reports']?.['api_key']?.value).toEqual(['***']);
  expect(config.services['reports']?.['ports']?.value).toEqual([`127.0.0.1:${port}:${target}`]);
});
