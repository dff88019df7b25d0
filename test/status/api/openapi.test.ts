/** `schema/openapi.yaml` is what the API does: every route of it is asked here, and every answer is what it says. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { SLEEP_KINDS } from '../../../src/model/running/sleep.ts';
import { listRoutes } from '../../../src/status/api/api.ts';
import type { Access } from '../../../src/status/access.ts';
import type { ApiContent } from '../../../src/status/api/content.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { type AskApi, startApiProxy } from '../../support/api-proxy.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { freePort } from '../../support/free-ports.ts';
import { Sockets } from '../../support/sockets.ts';

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
}

const OPENAPI = parse(readFileSync('schema/openapi.yaml', 'utf8'));
const OPERATIONS = Object.entries<Readonly<Record<string, Operation>>>(OPENAPI.paths).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

/** Answers with its arguments what a service is to print before it ends, or serves a port. */
const SERVER = 'require("node:net").createServer((c) => c.resume()).listen(process.env.PORT)';

const TOKEN = { authorization: 'Bearer s3cret' };

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(OPENAPI, 'openapi');

/** What the description says is wrong with an answer. */
function findMistakes(
  path: string,
  { method, status, type, json }: { method: string; status: number; type: string; json: unknown },
) {
  const responses = OPENAPI.paths[path][method.toLowerCase()].responses;
  const key = responses[status] === undefined ? 'default' : String(status);
  const response = responses[key].$ref === undefined ? responses[key] : OPENAPI.components.responses.Problem;
  const pointer =
    responses[key].$ref === undefined
      ? `#/paths/${path.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')}/${method.toLowerCase()}/responses/${key}`
      : responses[key].$ref;
  const media = type.split(';', 1)[0]?.replaceAll('/', '~1');
  if (response.content[type.split(';', 1)[0] ?? ''] === undefined) return [`${type} is not described`];
  const validate = ajv.compile({ $ref: `openapi${pointer}/content/${media}/schema` });
  validate(json);
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

describe('the description of the API', () => {
  test('has all reasons of sleeps, and no other', () => {
    expect(OPENAPI.components.schemas.SleepKind.enum).toEqual([...SLEEP_KINDS]);
  });

  test('names every route, and no other', () => {
    const routes: string[] = ['GET /metrics'];
    for (const { method, path } of listRoutes({} as ApiContent, { access: {} as Access, clock: systemClock }))
      routes.push(`${method} ${path}`);
    expect(OPERATIONS.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(routes.sort());
  });

  test('has no text that was cut at a comma, as YAML does within braces', () => {
    const findCut = (value: unknown, path: string): readonly string[] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([key, part]) => findCut(part, `${path}/${key}`))
        : value === null
          ? [path]
          : [];
    expect(findCut(OPENAPI, '')).toEqual([]);
  });
});

describe('an answer is as described', () => {
  let ask: AskApi;
  let sockets: Sockets;
  beforeAll(() => {
    sockets = new Sockets();
    return () => sockets.close();
  });

  const start = async () => {
    const [port, udp, target] = [await freePort(), await freePort(), await freePort()];
    const started = await startApiProxy(
      `
  shop/db:
    command: [${process.execPath}, -e, '${SERVER}']
    env: { PORT: "${target}" }
    ports: ["127.0.0.1:${port}:${target}"]
    dependants: [worker]
  worker: { command: [sleep, "60"], cron_start: "30 8 * * *", cron_stop: "30 17 * * *" }
  bad: { command: [sh, -c, "echo out of luck; exit 3"], ports: ["127.0.0.1:${await freePort()}:${target}"], wake_on: data }
  dns: { command: [sleep, "60"], udp_ports: ["127.0.0.1:${udp}:${target}"], wake_list: [127.0.0.0/8, "::1"] }
  still: { command: [sleep, "60"], availability: manual, ports: ["127.0.0.1:${await freePort()}:${target}"] }
`,
      { status: ', token: s3cret' },
    );
    ask = started.ask;
    return { port };
  };

  test('says of a manual service why its clients are refused, and that nothing wakes it', async () => {
    await start();
    expect((await ask('/api/services/still')).json).toMatchObject({
      availability: 'manual',
      unavailable: "it is asleep, and clients don't wake it (availability: manual)",
      stays_awake: 'its availability is manual',
      woken_by: [],
    });
  });

  test('says what of a client wakes a service, and of which', async () => {
    await start();
    expect((await ask('/api/services/bad')).json).toMatchObject({
      woken_by: [{ kind: 'connection', with_data: true }],
    });
    expect((await ask('/api/services/dns')).json).toMatchObject({
      woken_by: [{ kind: 'datagram', only_from: ['127.0.0.0/8', '::1'] }],
    });
  });

  test('says of each host which certificate its clients get, and warns of one that has none', async () => {
    const { cert, key } = makeCertificate();
    const folder = await mkdtemp(join(tmpdir(), 'lazy-proxy-api-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const [pem, keyFile] = [join(folder, 'wiki.pem'), join(folder, 'wiki.key')];
    await writeFile(pem, cert);
    await writeFile(keyFile, key);
    const hosts = 'hosts: [wiki.lan, a.home.arpa, "*.lan"], http_port: 80';
    ({ ask } = await startApiProxy(`  wiki: { command: [sleep, "60"], ${hosts} }\n`, {
      settings: `http: { https: "127.0.0.1:${await freePort()}", certificates: [{ cert: ${pem}, key: ${keyFile} }], self_signed_domains: [home.arpa] }\nstate_dir: off\n`,
    }));
    const until = new Date(new X509Certificate(cert).validTo).toISOString().replace('.000', '');
    const certificates = [
      { host: 'wiki.lan', kind: 'file', path: pem, until },
      { host: 'a.home.arpa', kind: 'self-signed' },
      { host: '*.lan', kind: 'none' },
    ];
    await expect.poll(async () => (await ask('/api/services/wiki')).json).toMatchObject({ certificates });
    const { json } = await ask('/api/services/wiki');
    const answer = { method: 'GET', status: 200, type: 'application/json' };
    expect(findMistakes('/api/services/{name}', { ...answer, json })).toEqual([]);
    const about = (await ask('/api')).json;
    expect(about).toMatchObject({ fronts: [{ scheme: 'https', condition: 'bound', connections: 0 }] });
    expect(findMistakes('/api', { ...answer, json: about })).toEqual([]);
    expect((await ask('/metrics')).body).toMatch(
      /^lazy_proxy_front_connections_refused_total\{front="127.0.0.1:\d+",reason="untrusted-proxy"\} 0$/m,
    );
    expect((await ask('/problems')).body).toContain(
      'hosts of service wiki: none of http.certificates is for *.lan, and none is made outside of http.self_signed_domains',
    );
  });

  test('lists every service, also those without a listener', async () => {
    await start();
    const names = (await ask('/api/services')).json as readonly { readonly name: string }[];
    expect(names.map(({ name }) => name)).toEqual(['bad', 'dns', 'shop/db', 'still', 'worker']);
  });

  test('lists only the services that are asked for, and leaves out those that there are not', async () => {
    await start();
    const { json } = await ask('/api/services?only=shop%2Fdb&only=dns&only=gone');
    expect(json).toMatchObject([{ name: 'dns' }, { name: 'shop/db' }]);
    expect(
      findMistakes('/api/services', { method: 'GET', status: 200, type: 'application/json', json }),
    ).toEqual([]);
  });

  test.each(OPERATIONS)('$method $path', async ({ method, path }) => {
    const { port } = await start();
    const client = await sockets.connect(port);
    client.write('x');
    for (let shown = ''; !/"state": "ready"/.test(shown); ) shown = (await ask('/api/services/worker')).body;
    const isEndless = path === '/api/events';
    const query = path.startsWith('/api/services') ? '?memory=true&day=true' : '';
    for (const name of ['shop/db', 'worker', 'bad', 'dns', 'still', 'gone']) {
      const url = path.replace('{name}', encodeURIComponent(name)) + query;
      // The client of shop/db keeps it and its dependant awake.
      const isKept = path.endsWith('/sleep') && (name === 'shop/db' || name === 'worker');
      const expected = path.includes('{name}') && name === 'gone' ? 404 : isKept ? 409 : 200;
      const asked = await ask(url, { method, headers: TOKEN });
      expect([url, asked.status]).toEqual([url, expected]);
      for (const { status, headers, body, json = body } of [asked, await ask(url, { method })]) {
        if (isEndless) expect(body).toMatch(/^retry: 2000\n/);
        const type = headers['content-type'] ?? '';
        expect(findMistakes(path, { method, status, type, json }), url).toEqual([]);
      }
    }
  });
});
