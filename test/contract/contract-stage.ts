import { expect, onTestFinished } from 'vitest';
import type { Backend } from '../../src/backends/backend.ts';
import { type Endpoint, type Observation, portKey } from '../../src/model/running/observation.ts';
import { type Workload, workloadKey } from '../../src/model/workload.ts';
import { get } from '../engine/support/http.ts';
import { waitUntil } from '../engine/support/wait-until.ts';
import type { ContractBed, ContractWorkload } from './contract-bed.ts';
import { ToldSink } from './told-sink.ts';

const WAKE_TIMEOUT_MS = 20_000;

/** An open backend, and what it tells. */
export interface OpenBackend {
  readonly backend: Backend;
  readonly sink: ToldSink;
}

/** A workload that sleeps, and an open backend that watches it. */
export interface ContractStage extends OpenBackend {
  readonly bed: ContractBed;
  readonly app: ContractWorkload;
  readonly workload: Workload;
  readonly key: string;
  wake(): Promise<void>;
  sleep(): Promise<void>;
}

/** Makes a stage that goes when the test has finished. */
export type OpenStage = () => Promise<ContractStage>;

export async function createStage(open: () => Promise<ContractBed>): Promise<ContractStage> {
  const bed = await open();
  const app = await bed.createWorkload();
  const { workload } = app;
  const { backend, sink } = await openBackend(bed);
  sink.watch(backend, workload);
  const key = workloadKey(workload);
  await sink.untilState(key, 'stopped');
  return {
    ...{ bed, app, workload, key, backend, sink },
    wake: () => backend.wake(workload, { signal: AbortSignal.timeout(WAKE_TIMEOUT_MS) }),
    sleep: () => backend.sleep(workload, { graceMs: undefined, evenInUse: false }),
  };
}

/** Opens one more backend and waits until it may put workloads to sleep; it is closed when the test has finished. */
export async function openBackend(bed: ContractBed): Promise<OpenBackend> {
  const backend = bed.createBackend();
  onTestFinished(() => backend.close());
  const sink = new ToldSink();
  await backend.open(sink);
  await sink.until(() => bed.maySleep?.(sink) ?? true, 'that it may put workloads to sleep');
  return { backend, sink };
}

/** Wakes the workload and waits until it answers. */
export async function bringUp(stage: ContractStage): Promise<void> {
  await stage.wake();
  await expectAnswer(stage);
}

/** The workload is told to run, and answers where it is told to be. */
export async function expectAnswer({
  sink,
  key,
  app,
}: Pick<ContractStage, 'sink' | 'key' | 'app'>): Promise<void> {
  await sink.until(
    () => sink.state(key) === 'running' && endpointOf(sink.last(key), app) !== undefined,
    'where it runs',
  );
  const { host, port } = endpointOf(sink.last(key), app) as Endpoint;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`;
  const ask = () => get(url).catch(() => undefined);
  const answer = await waitUntil(ask, { what: `an answer from ${url}` });
  expect(answer.status).toBe(200);
}

function endpointOf(
  observation: Observation | undefined,
  { targetPort }: ContractWorkload,
): Endpoint | undefined {
  const { hosts = [], ports } = observation ?? {};
  if (ports !== undefined) return ports[portKey('tcp', targetPort)]?.[0];
  return hosts[0] === undefined ? undefined : { host: hosts[0], port: targetPort };
}
