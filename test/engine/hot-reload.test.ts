import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { type AppAnswer, nodeApp } from './support/apps.ts';
import { createConfigFolder, type EditStyle } from './support/config-folder.ts';
import { createScope } from './support/engine.ts';
import { get, getJson } from './support/http.ts';
import type { LogLine } from './support/log-lines.ts';
import { type ProxyProcess, startProxy } from './support/proxy.ts';
import { endStreams, readStream } from './support/streamed.ts';
import { waitUntil } from './support/wait-until.ts';

const MAX_RELOAD_MS = 500;
/** Of the fifty edits, so many may take longer on a machine that does something else meanwhile. */
const MAX_HICCUPS = 5;
const EDITS = 50;
const STYLES: readonly EditStyle[] = ['overwrite', 'rename', 'recreate', 'swap'];
/** Between two visits of one visitor: without it, what is measured is how busy the test itself is. */
const PAUSE_MS = 10;
const BULK_BYTES = 4 * 1024 * 1024;
/** A client that the allow-list of service a leaves out. */
const STRANGER = '127.0.0.2';

const scope = createScope();
const a = scope.name('a');
const b = scope.name('b');
let portA = 0;
let portB = 0;

beforeAll(async () => {
  [portA = 0, portB = 0] = await freePorts(2);
  const app = await nodeApp({ port: [80, 81] });
  await Promise.all([scope.runContainer({ name: a, ...app }), scope.runContainer({ name: b, ...app })]);
});
afterAll(() => scope.cleanup());

/** What the file says. */
interface Content {
  readonly target: number;
  readonly onlyFriends: boolean;
  readonly idleSecs: number;
  /** Target port of service b; undefined = there is no b. */
  readonly otherTarget: number | undefined;
  readonly comment: string;
}

const FIRST: Content = { target: 80, onlyFriends: false, idleSecs: 600, otherTarget: undefined, comment: '' };

function render(content: Content): string {
  const friends = content.onlyFriends ? 'allow_list: [127.0.0.1]' : 'block_list: []';
  const other = `  ${b}: { ports: ["127.0.0.1:${portB}:${content.otherTarget}"], idle_timeout: 1h }\n`;
  return [
    `# ${content.comment}\ndocker: { labels: false }\nservices:\n`,
    `  ${a}: { ports: ["127.0.0.1:${portA}:${content.target}"], idle_timeout: ${content.idleSecs}, ${friends} }\n`,
    content.otherTarget === undefined ? '' : other,
  ].join('');
}

/** One edit: how it changes the content (undefined = breaks the file), and what the log says of it. */
interface Edit {
  readonly change: ((content: Content) => Content) | undefined;
  readonly log: RegExp;
}

/** Ten edits that lead back to where they began. */
const ROUND: readonly Edit[] = [
  { change: (content) => ({ ...content, otherTarget: 80 }), log: /service \S+-b added; listener \S+ opened/ },
  {
    change: (content) => ({ ...content, otherTarget: 81 }),
    log: /service \S+-b changed: \S+; listener \S+ stays open/,
  },
  {
    change: (content) => ({ ...content, onlyFriends: true }),
    log: /service \S+-a changed: \S+; listener \S+ stays open/,
  },
  {
    change: (content) => ({ ...content, target: 81 }),
    log: /service \S+-a changed: \S+; listener \S+ stays open/,
  },
  { change: undefined, log: /is refused/ },
  { change: (content) => ({ ...content, comment: `${content.comment}.` }), log: /nothing changed$/ },
  {
    change: (content) => ({ ...content, idleSecs: content.idleSecs + 1 }),
    log: /service \S+-a changed: idle_timeout$/,
  },
  {
    change: (content) => ({ ...content, onlyFriends: false }),
    log: /service \S+-a changed: \S+; listener \S+ stays open/,
  },
  { change: (content) => ({ ...content, otherTarget: undefined }), log: /\S+ closed; service \S+-b removed/ },
  {
    change: (content) => ({ ...content, target: 80 }),
    log: /service \S+-a changed: \S+; listener \S+ stays open/,
  },
];

/** What a client sees of a port: the app's own port, or that nobody answers. */
function seenAt(port: number, localAddress?: string): Promise<number | 'nobody'> {
  const answer = get(port, { timeoutMs: 2_000, ...(localAddress && { localAddress }) });
  return answer.then(
    ({ body }) => (JSON.parse(body) as AppAnswer).port,
    () => 'nobody',
  );
}

async function isInForce(content: Content): Promise<boolean> {
  const seen = await Promise.all([seenAt(portA), seenAt(portA, STRANGER), seenAt(portB)]);
  const { target, onlyFriends, otherTarget = 'nobody' } = content;
  return seen.join() === [target, onlyFriends ? 'nobody' : target, otherTarget].join();
}

/** Clients of service a that come and go all the time, until they are stopped. */
function startVisitors(visit: () => Promise<void>, count: number) {
  const failures: string[] = [];
  let visits = 0;
  let stopped = false;
  const loop = async () => {
    while (!stopped) {
      await visit().catch((error: Error) => failures.push(error.message));
      visits++;
      await pause(PAUSE_MS);
    }
  };
  const loops = Array.from({ length: count }, loop);
  return {
    async stop() {
      stopped = true;
      await Promise.all(loops);
      return { failures, visits };
    },
  };
}

async function visitBriefly(): Promise<void> {
  const { port } = await getJson<AppAnswer>(portA);
  if (port !== 80 && port !== 81) throw new Error(`an answer of port ${port}`);
}

async function downloadWhole(): Promise<void> {
  const { body } = await get(`http://127.0.0.1:${portA}/bytes?n=${BULK_BYTES}`);
  if (body !== 'x'.repeat(BULK_BYTES)) throw new Error(`${body.length} bytes of ${BULK_BYTES}`);
}

function isReload({ event }: LogLine): boolean {
  return event === 'reload' || event === 'reload-refused';
}

async function start(config: string, args: readonly string[] = []): Promise<ProxyProcess> {
  const proxy = await startProxy(args.length > 0 ? { args } : { config });
  onTestFinished(async () => void (await proxy.stop()));
  return proxy;
}

/** Saves the file and resolves with the time until it was in force, as the log and the clients see it. */
async function measureEdit(
  proxy: ProxyProcess,
  options: { readonly edit: Edit; readonly content: Content; readonly style: EditStyle },
): Promise<number> {
  const { edit, content, style } = options;
  const from = proxy.logs().length;
  const startMs = performance.now();
  await proxy.edit(edit.change === undefined ? `${render(content)}  broken: [\n` : render(content), style);
  await proxy.waitForLog((line) => isReload(line) && edit.log.test(line.msg), { from });
  await waitUntil(() => isInForce(content), { everyMs: 5 });
  const tookMs = performance.now() - startMs;
  const problems = await getJson<unknown[]>(`${proxy.statusUrl}/problems`);
  expect(problems).toHaveLength(edit.change === undefined ? 1 : 0);
  return tookMs;
}

describe('hot reload', () => {
  test('cuts and refuses no connection when the file is edited fifty times under load', async () => {
    const proxy = await start(render(FIRST));
    await waitUntil(() => isInForce(FIRST), { what: 'the apps listening' });
    const first = proxy.logs().length;
    const download = await readStream(portA);
    const visitors = startVisitors(visitBriefly, 4);
    const downloads = startVisitors(downloadWhole, 1);
    const times: number[] = [];
    let content = FIRST;
    for (let index = 0; index < EDITS; index++) {
      const edit = ROUND[index % ROUND.length] as Edit;
      const style = STYLES[(index + Math.floor(index / ROUND.length)) % STYLES.length] as EditStyle;
      content = edit.change?.(content) ?? content;
      times.push(await measureEdit(proxy, { edit, content, style }));
    }
    const [brief, bulk] = [await visitors.stop(), await downloads.stop()];
    expect(await endStreams(portA)).toEqual([await download.received]);
    expect(brief.failures).toEqual([]);
    expect(bulk.failures).toEqual([]);
    expect(Math.min(brief.visits, bulk.visits)).toBeGreaterThan(EDITS / 2);
    expect(download.count()).toBeGreaterThan(BULK_BYTES);
    expect(times.filter((ms) => ms >= MAX_RELOAD_MS).length).toBeLessThanOrEqual(MAX_HICCUPS);
    expect(Math.max(...times)).toBeLessThan(4 * MAX_RELOAD_MS);
    // Each edit was one reload, and nobody but the stranger was turned away.
    expect(
      proxy
        .logs()
        .slice(first)
        .filter(({ event }) => event === 'reload'),
    ).toHaveLength(EDITS);
    const turnedAway = proxy.logs().filter(({ event }) => event === 'unserved' || event === 'refused');
    expect(turnedAway.filter(({ client }) => !client?.startsWith(STRANGER))).toEqual([]);
  });

  test('reads the file again when SIGHUP comes, also where a change could not be noticed', async () => {
    const { folder, remove } = await createConfigFolder();
    onTestFinished(remove);
    const place = async (name: string, content: Content) => {
      await mkdir(path.join(folder, name));
      await writeFile(path.join(folder, name, 'proxy.yaml'), render(content));
    };
    await place('v1', FIRST);
    await place('v2', { ...FIRST, target: 81 });
    await symlink('v1', path.join(folder, 'now'));
    const proxy = await start('', ['--config', path.join(folder, 'now/proxy.yaml')]);
    // The folder that is watched stays as it is: another one takes its place.
    await symlink('v2', path.join(folder, 'next'));
    await rename(path.join(folder, 'next'), path.join(folder, 'now'));
    const from = proxy.logs().length;
    const startMs = performance.now();
    proxy.signal('SIGHUP');
    await proxy.waitForLog(({ event, changes }) => event === 'reload' && changes === 2, { from });
    expect(await seenAt(portA)).toBe(81);
    expect(performance.now() - startMs).toBeLessThan(MAX_RELOAD_MS);
  });

  test('keeps the last good file in force when the file is deleted, and takes up a new one', async () => {
    const proxy = await start(render({ ...FIRST, target: 81 }));
    const from = proxy.logs().length;
    await rm(proxy.configFile);
    await proxy.waitForLog('reload-refused', { from });
    expect(await seenAt(portA)).toBe(81);
    await proxy.edit(render(FIRST));
    await proxy.waitForLog(({ event, changes }) => event === 'reload' && changes === 2, { from });
    expect(await seenAt(portA)).toBe(80);
  });
});
