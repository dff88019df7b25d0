/** The dashboard in a real browser, of the built program with local processes as its services. */
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { createFolder } from '../cli/program/folder.ts';
import { freePort } from '../support/free-ports.ts';
import { type RunningProgram, startProgram } from '../support/start-program.ts';

const CHROMIUM = '/usr/bin/chromium';
/**
 * Off: for each page Chromium would load two more of its own, which drop down from an address bar that nobody sees and keep a
 * processor busy for half a second, and start a process for a page to come. It takes one such list, the last one: behind these
 * are the ones of Playwright's own.
 */
const FEATURES_OFF = [
  ...['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'SpareRendererForSitePerProcess'],
  ...['AimEnabled', 'AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'HttpsUpgrades'],
  ...['HttpsFirstBalancedModeAutoEnable', 'MediaRouter', 'OptimizationHints', 'PaintHolding'],
  ...['NetworkTimeServiceQuerying', 'PreconnectToSearch', 'AvoidCorsURLLoaderRestartOnRedirect'],
];
const ARGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  ...[
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-sync',
  ],
  ...['--no-first-run', '--disable-extensions', `--disable-features=${FEATURES_OFF.join(',')}`],
];

let browser: Promise<Browser> | undefined;

/** One for all files of the worker: it takes a second to start. It ends with the worker. */
function openBrowser(): Promise<Browser> {
  browser ??= chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  return browser;
}

/** Answers `hi` on port `$1`, after `$2` ms. */
const SERVER = `import { createServer } from 'node:http';
const [port, delayMs = 0] = process.argv.slice(2).map(Number);
setTimeout(() => createServer((request, response) => response.end('hi')).listen(port, '127.0.0.1'), delayMs);
`;
/** Says why, and ends. */
const BROKEN = `console.error('OperationalError: no such host "db"');
process.exit(3);
`;

export interface Dashboard {
  readonly program: RunningProgram;
  readonly statusPort: number;
  readonly url: string;
  /** Writes the file of the configuration anew, with these services. */
  configure(services: string, status?: string): Promise<void>;
}

/**
 * The program with these services. Their commands find `server.mjs` (port, ms until it listens) and `broken.mjs` in the folder.
 * @param options.status more settings of `status`: `token: abc`.
 * @param options.settings further lines at the top of the file.
 */
export async function startDashboard(
  services: string,
  options: { readonly status?: string; readonly settings?: string; readonly statusPort?: number } = {},
): Promise<Dashboard> {
  const { status = '', settings: others = '', statusPort = await freePort() } = options;
  const write = (text: string, settings: string) =>
    `status: { listen: "127.0.0.1:${statusPort}"${settings === '' ? '' : `, ${settings}`} }\n` +
    `${others}\ndocker: { labels: false }\nservices:\n${text}`;
  const folder = await createFolder({
    'lazy-proxy.yaml': write(services, status),
    'server.mjs': SERVER,
    'broken.mjs': BROKEN,
  });
  const program = await startProgram({ cwd: folder });
  return {
    program,
    statusPort,
    url: `http://127.0.0.1:${statusPort}/`,
    async configure(text, settings = status) {
      await writeFile(path.join(folder, 'new.yaml'), write(text, settings));
      await rename(path.join(folder, 'new.yaml'), path.join(folder, 'lazy-proxy.yaml'));
    },
  };
}

/** A page of its own, that fails the test if a script of it fails or it asks somebody else. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await (await openBrowser()).newContext(options);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', ({ message }) => faults.push(message));
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(url).host) faults.push(`asks ${request.url()}`);
  });
  page.on('console', (message) => {
    if (/Content.Security.Policy|Refused to/i.test(message.text())) faults.push(message.text());
  });
  onTestFinished(async () => {
    await context.close();
    if (faults.length > 0) throw new Error(`the page failed: ${faults.join('; ')}`);
  });
  await page.goto(url);
  return page;
}

/** The row of a service. */
export function rowOf(page: Page, name: string) {
  return page.locator('.service', { has: page.locator('.open', { hasText: new RegExp(`^${name}$`) }) });
}

export function stateOf(page: Page, name: string) {
  return rowOf(page, name).locator('.state');
}
