/** The dashboard below a path of a reverse proxy, set up as `docs/dashboard.md` says. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createFolder } from '../cli/program/folder.ts';
import { askingAt } from '../support/api-proxy.ts';
import { freePort } from '../support/free-ports.ts';
import { startProgram } from '../support/start-program.ts';
import { openPage, rowOf, startDashboard, stateOf } from './dashboard-page.ts';
import { aServer, get, twoPorts } from './services.ts';

const TOKEN = 'correct-horse-battery';
/** How often the page asks by itself where it is told of what happens, ms. */
const POLL_WHILE_LIVE_MS = 5_000;

/** What the documentation has people write, for a proxy whose status port is this one. */
function readSnippet(language: string, statusPort: number): string {
  const text = readFileSync('docs/dashboard.md', 'utf8');
  const [, snippet = ''] = text.match(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's')) ?? [];
  expect(snippet).toContain(':8080');
  return snippet.replaceAll(':8080', `:${statusPort}`);
}

async function startNginx(snippet: string, port: number): Promise<void> {
  const folder = await createFolder({});
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ');
  const config = `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  error_log stderr;
  ${temporary}
  server {
    listen 127.0.0.1:${port};
    ${snippet}
  }
}
`;
  const cwd = await createFolder({ 'nginx.conf': config });
  const args = ['-e', 'stderr', '-p', folder, '-c', path.join(cwd, 'nginx.conf')];
  await startProgram({ cwd, program: ['nginx'], args, until: undefined });
}

async function startCaddy(snippet: string, port: number): Promise<void> {
  const config = `{
  admin off
  auto_https off
}
http://localhost:${port} {
  bind 127.0.0.1
  ${snippet}
}
`;
  const cwd = await createFolder({ Caddyfile: config });
  const env = { ...process.env, HOME: cwd, XDG_DATA_HOME: cwd, XDG_CONFIG_HOME: cwd };
  const args = ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'];
  await startProgram({
    cwd,
    program: ['sh', '-c', 'exec caddy "$@" 2>&1', 'sh'],
    args,
    env,
    until: undefined,
  });
}

test.each([
  ['nginx', 'nginx', startNginx],
  ['Caddy', 'caddyfile', startCaddy],
] as const)(
  'the dashboard works below a path of %s, and is told of what happens',
  async (_, language, start) => {
    const ports = await twoPorts();
    const { statusPort } = await startDashboard(`  web: { ${aServer(ports)}, idle_timeout: 60s }\n`, {
      status: `token: ${TOKEN}`,
    });
    const port = await freePort();
    await start(readSnippet(language, statusPort), port);
    const ask = askingAt(port);
    const headers = { host: `localhost:${port}` };
    await expect
      .poll(async () => (await ask('/lazy/health', { headers }).catch(() => undefined))?.status)
      .toBe(200);
    // Who leaves the slash out gets there, too.
    const page = await openPage(`http://localhost:${port}/lazy`);
    expect(page.url()).toBe(`http://localhost:${port}/lazy/`);
    await expect.poll(() => page.locator('.link').innerText()).toBe('live');
    await expect.poll(() => stateOf(page, 'web').innerText()).toBe('asleep');

    const startMs = performance.now();
    await get(ports[0]);
    await expect.poll(() => stateOf(page, 'web').innerText(), { interval: 20 }).toBe('awake');
    console.log(
      `${language}: from the request to the sight of it: ${Math.round(performance.now() - startMs)} ms`,
    );
    expect(performance.now() - startMs).toBeLessThan(POLL_WHILE_LIVE_MS);

    await page.getByRole('button', { name: 'Sleep web' }).click();
    await page.getByLabel('Token', { exact: true }).fill(TOKEN);
    await page.getByRole('button', { name: 'Go on' }).click();
    await expect.poll(() => rowOf(page, 'web').innerText()).toMatch(/asleep since \d\d:\d\d: by hand/);
  },
);
