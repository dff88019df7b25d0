/** The API of a proxy as it runs: who may read what. */
import { describe, expect, test } from 'vitest';
import { type AskApi, startApiProxy } from '../support/api-proxy.ts';
import { freePort } from '../support/free-ports.ts';
import { ending, Sockets } from '../support/sockets.ts';

const TOKEN = { headers: { authorization: 'Bearer s3cret' } };

/** Wakes the service and waits until it is known what it had printed before its start failed. */
async function fail(port: number, ask: AskApi): Promise<void> {
  const sockets = new Sockets();
  await ending(await sockets.connect(port));
  await sockets.close();
  for (let shown = ''; !shown.includes('"output"'); ) shown = (await ask('/api/services/bad')).body;
}

describe('the API of a proxy', () => {
  const start = async (status = ', token: s3cret') => {
    const port = await freePort();
    const services = `
  bad:
    command: [sh, -c, "echo the word is $PASSWORD; exit 3"]
    env: { PASSWORD: hunter2 }
    webhook_url: https://hooks.example.com/hunter2
    ports: ["127.0.0.1:${port}:81"]
`;
    return { ...(await startApiProxy(services, { status })), tcp: port, services };
  };

  test('shows secrets to who has shown the token, and to nobody else', async () => {
    const { ask, tcp } = await start();
    await fail(tcp, ask);
    const urls = ['/api/services', '/api/services/bad', '/api/config', '/api/reload', '/status', '/problems'];
    for (const url of urls) {
      const { body, status } = await ask(url);
      expect([status, body.includes('hunter2'), body.includes('s3cret')], url).toEqual([200, false, false]);
    }
    const hidden = { wakes: [{ reason: 'exit code 3', output: ['***'] }] };
    expect((await ask('/api/services/bad')).json).toMatchObject(hidden);
    const shown = { wakes: [{ output: ['the word is hunter2'] }] };
    expect((await ask('/api/services/bad', TOKEN)).json).toMatchObject(shown);
    const config = (await ask('/api/config', TOKEN)).body;
    expect([config.includes('hunter2'), config.includes('s3cret')]).toEqual([true, false]);
  });

  test('shows the output alone where show_output is on', async () => {
    const { ask, tcp } = await start(', show_output: true');
    await fail(tcp, ask);
    expect((await ask('/api/services/bad')).body).toContain('the word is hunter2');
    expect((await ask('/api/config')).body).not.toContain('hunter2');
  });

  test('asks for the token for everything but /health and /ready where protect is on', async () => {
    const { ask } = await start(', token: s3cret, protect: true');
    for (const url of ['/status', '/problems', '/api', '/api/services', '/api/config', '/api/nothing']) {
      const { status, headers } = await ask(url);
      expect([url, status, headers['www-authenticate']]).toEqual([url, 401, 'Bearer']);
    }
    for (const url of ['/health', '/ready']) expect((await ask(url)).status, url).toBe(200);
    for (const url of ['/status', '/problems', '/api', '/api/services', '/api/config'])
      expect((await ask(url, TOKEN)).status, url).toBe(200);
  });

  test('refuses a name that leads here from elsewhere, and a wrong token', async () => {
    const { ask } = await start();
    const rebound = await ask('/api/services', { headers: { host: 'evil.example' } });
    expect(rebound.json).toMatchObject({
      status: 403,
      detail: expect.stringContaining('status.allowed_hosts'),
    });
    const wrong = await ask('/api/services', { headers: { authorization: 'Bearer s3cre7' } });
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, 'Bearer']);
  });

  test('sends headers that let no page be made of an answer', async () => {
    const { ask } = await start();
    for (const url of ['/api/services', '/api/nothing']) {
      const { headers } = await ask(url);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cache-control': 'no-store',
      });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  test('names the origin of each value', async () => {
    const { ask } = await start();
    expect((await ask('/api/config?service=bad')).json).toMatchObject({
      settings: {
        'status.token': { value: '***' },
        relay: { value: 'stream', origin: 'lazy-proxy.yaml:3:8' },
      },
      services: {
        bad: { idle_timeout: { value: '2m', origin: 'default' }, env: { value: { PASSWORD: '***' } } },
      },
    });
    expect((await ask('/api/config?service=gone')).status).toBe(404);
  });

  test('tells whether the last edit is in force, and shows its wrong line unless that may hold a secret', async () => {
    const { ask, reload, services } = await start();
    expect((await ask('/api/reload')).json).toMatchObject({ generation: 1, refused: 0, problems: [] });
    reload(`${services}    idle_timeout: 3m\n`);
    expect((await ask('/api/reload')).json).toMatchObject({ generation: 2 });
    reload(`${services}    idle_timeout: soon\n    webhook_url: "hunter2 hunter2"\n`);
    const { json, body } = await ask('/api/reload');
    expect(json).toMatchObject({ generation: 2, refused: 1, refused_since: expect.any(String) });
    const { problems } = json as { problems: readonly { readonly message: string }[] };
    expect(problems.find(({ message }) => message.includes('idle_timeout'))).toMatchObject({
      ...{ severity: 'error', file: 'lazy-proxy.yaml', column: 19 },
      caret: '      idle_timeout: soon\n                    ^',
    });
    expect(body).not.toContain('hunter2');
  });
});
