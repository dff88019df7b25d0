import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Engine } from './engine.mjs';
import { median } from './figures.mjs';
import { ProxyProcess } from './proxy-process.mjs';
import { request } from './request.mjs';
import { createFileText } from './samples.mjs';
import { watchStalls } from './watch-stalls.mjs';

const STARTS = 3;
const RELOADS = 5;
const SCRAPES = 5;

/**
 * A file with so many services, two listeners each, all bound; the containers are there and sleep. Times in ms: of the
 * start, and, by reload, from the renaming of the new file to the line that the plan was applied, of the processor in the
 * event loop's thread, and, at a second reload, the longest that a client waited for an answer meanwhile. The same of scrapes of
 * the metrics.
 */
export async function measureFile({ dist, size, quick = false, args }) {
  const engine = await Engine.start({ size, labelled: false, running: false });
  const folder = await mkdtemp(path.join(tmpdir(), 'bench-control-'));
  const config = path.join(folder, 'lazy-proxy.yaml');
  const proxy = () => new ProxyProcess({ dist, engine: engine.socket, config, args });
  try {
    const starts = [];
    for (let run = 1; run < (quick ? 1 : STARTS); run++) {
      await writeFile(config, createFileText(size));
      const other = proxy();
      starts.push((await startChecked(other, size)).ms);
      await other.stop();
    }
    await writeFile(config, createFileText(size));
    const measured = proxy();
    starts.push((await startChecked(measured, size)).ms);
    const reloads = [];
    for (let run = 0; run < RELOADS; run++) {
      const change = (time) => ({ config, text: createFileText(size, 2 * run + time) });
      reloads.push(await measureReload(measured, change));
    }
    const scrapes = [];
    for (let run = 0; run < SCRAPES; run++) scrapes.push(await measureScrape(measured));
    await measured.stop();
    return { startMs: median(starts), reloads, scrapes };
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function startChecked(proxy, size) {
  const started = await proxy.start();
  const { services, listeners } = started.line;
  if (services !== size || listeners !== 2 * size)
    throw new Error(`${services} services with ${listeners} listeners are ready instead of ${size}`);
  const problems = await proxy.ask('/problems');
  if (problems.length > 0) throw new Error(`not all is well: ${JSON.stringify(problems[0])}`);
  return started;
}

async function measureReload(proxy, change) {
  const { ms, cpuMs } = await replaceFile(proxy, change(1));
  const { longestMs } = await watchStalls(proxy.statusPort, () => replaceFile(proxy, change(2)));
  return { ms, cpuMs, stallMs: longestMs };
}

/** Beside the processor's time, how big the answer is, and for how long a client of the status server waited meanwhile. */
async function measureScrape(proxy) {
  const beforeMs = proxy.loopCpuMs();
  const { length: bytes } = await request(proxy.statusPort, { path: '/metrics' });
  const cpuMs = proxy.loopCpuMs() - beforeMs;
  const scrape = () => request(proxy.statusPort, { path: '/metrics' });
  const { longestMs: stallMs } = await watchStalls(proxy.statusPort, scrape);
  return { bytes, cpuMs, stallMs };
}

/** Renames a new text over the file; resolves when it is in force. */
async function replaceFile(proxy, { config, text }) {
  await writeFile(`${config}.new`, text);
  const reloaded = proxy.logged('reload');
  const beforeMs = proxy.loopCpuMs();
  const startMs = performance.now();
  await rename(`${config}.new`, config);
  const { atMs, changes, msg } = await reloaded;
  if (changes !== 1) throw new Error(`one line was changed, but: ${msg}`);
  return { ms: atMs - startMs, cpuMs: proxy.loopCpuMs() - beforeMs };
}
