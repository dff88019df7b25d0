import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { renderChart } from './chart.mjs';
import { createResults } from './results.mjs';

/** What `latest.json` says, where it is there. */
export async function readResults(folder) {
  const text = await readFile(path.join(folder, 'latest.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

/** Writes `latest.json` and `latest.svg` into the folder. */
export async function writeResults(folder, parts) {
  const { date, machine, versions } = parts.about;
  const where = `${machine.cores} × ${machine.processor}, Linux ${machine.kernel}`;
  const what = `Node ${versions.node}, nginx ${versions.nginx}, HAProxy ${versions.haproxy}, Go ${versions.go}`;
  await mkdir(folder, { recursive: true });
  const results = createResults(parts);
  await writeFile(path.join(folder, 'latest.json'), `${JSON.stringify(results, undefined, 2)}\n`);
  await writeFile(
    path.join(folder, 'latest.svg'),
    renderChart(parts.rows, `${where}; ${what}; ${date.slice(0, 10)}; npm run bench`),
  );
}
