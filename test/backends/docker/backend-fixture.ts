import { onTestFinished } from 'vitest';
import type { DockerBackend } from '../../../src/backends/docker/docker-backend.ts';
import type { OwnSystem } from '../../../src/backends/engine/network/own-container.ts';
import type { DockerWorkload } from '../../../src/model/workload.ts';
import { type Clock, systemClock } from '../../../src/system/clock.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import type { EngineShape } from '../../support/engine-answers.ts';
import { createDockerBackend } from '../../support/lone-backends.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';
import { RecordingSink } from '../recording-sink.ts';

export const DB: DockerWorkload = { kind: 'docker', container: 'db' };
export const KEY = 'docker/db';
export const ENABLED = { 'lazy-tcp-proxy.enabled': 'true' };

/** A machine on which the proxy runs in no container. */
export const HOST: OwnSystem = {
  readFile: () => Promise.reject(new Error('there is no such file')),
  hostname: () => 'host',
};

export interface Bench {
  readonly engine: ScriptedEngine;
  readonly backend: DockerBackend;
  readonly sink: RecordingSink;
}

/** An engine, a backend that isn't opened yet, and a sink; all are closed when the test ends. */
export async function setUp(
  options: { readonly shape?: EngineShape; readonly clock?: Clock } = {},
): Promise<Bench> {
  const { shape, clock = systemClock } = options;
  const engine = await ScriptedEngine.start(shape);
  const backend = createDockerBackend({
    socket: engine.socketPath,
    env: {},
    labels: true,
    labelPrefixes: ['lazy-tcp-proxy'],
    system: HOST,
    clock,
    logger: silentLogger,
  });
  onTestFinished(async () => {
    await backend.close();
    await engine.close();
  });
  return { engine, backend, sink: new RecordingSink() };
}

export function within(ms: number): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ms) };
}
