/** What figures depend on: the machine, and the versions of what was compared. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../../scripts/ensure-installed.mjs';

const execute = promisify(execFile);
const GIB = 2 ** 30;

export function describeMachine() {
  const [first] = cpus();
  return {
    processor: first?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / GIB),
    kernel: release(),
  };
}

/** The first version number that each program tells of itself. */
export async function readVersions({ nginx, haproxy, iperf3, wrk, dockerd, caddy, go }) {
  const { version } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  const asked = {
    nginx: [nginx, '-v'],
    haproxy: [haproxy, '-v'],
    iperf3: [iperf3, '-v'],
    wrk: [wrk, '-v'],
    docker: [dockerd, '--version'],
    caddy: [caddy, 'version'],
    go: [go, 'version'],
  };
  const answers = Object.entries(asked).map(async ([name, [program, flag]]) => [
    name,
    program === undefined ? undefined : await askVersion(program, flag),
  ]);
  return {
    lazyProxy: version,
    node: process.versions.node,
    ...Object.fromEntries(await Promise.all(answers)),
  };
}

async function askVersion(program, flag) {
  // Some tell it on the other stream, or with a status of failure.
  const { stdout, stderr } = await execute(program, [flag]).catch((error) => error);
  return /\d+(?:\.\d+)+/.exec(`${stdout}${stderr}`)?.[0];
}
