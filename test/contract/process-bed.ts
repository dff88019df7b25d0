import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { ProcessBackend } from '../../src/backends/process/process-backend.ts';
import type { ProcessWorkload } from '../../src/model/workload.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { freePort } from '../support/free-ports.ts';
import type { ContractBed } from './contract-bed.ts';

/** Writes down its start, answers, and takes its time to stop. */
const SERVER = `
require('node:fs').appendFileSync(process.env.STARTS, 'x');
require('node:http').createServer((request, response) => response.end('hello')).listen(process.env.PORT);
process.on('SIGTERM', () => setTimeout(() => process.exit(), 300));
`;

/** Processes of this machine. */
export async function openProcessBed(): Promise<ContractBed> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lpt-contract-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const toWorkload = (
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ProcessWorkload => ({
    kind: 'process',
    name: `app-${randomBytes(4).toString('hex')}`,
    ...{ command, cwd: undefined, env },
  });
  return {
    createBackend: () => new ProcessBackend({ env: process.env, clock: systemClock, logger: silentLogger }),
    async createWorkload() {
      const targetPort = await freePort();
      const starts = path.join(folder, String(targetPort));
      const workload = toWorkload([process.execPath, '-e', SERVER], {
        PORT: String(targetPort),
        STARTS: starts,
      });
      const countStarts = async () => (await readFile(starts, 'utf8').catch(() => '')).length;
      return { workload, targetPort, starts: countStarts };
    },
    nameMissing: () => toWorkload([path.join(folder, 'does-not-exist')]),
  };
}
