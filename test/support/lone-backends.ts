import type { LabelOptions } from '../../src/backends/backend.ts';
import { DockerBackend } from '../../src/backends/docker/docker-backend.ts';
import {
  EngineConnection,
  type EngineConnectionOptions,
} from '../../src/backends/engine/engine-connection.ts';
import { SwarmBackend } from '../../src/backends/swarm/swarm-backend.ts';

type LoneOptions = EngineConnectionOptions & LabelOptions;

/** A backend that has the connection for itself: it ends with the backend. */
export function createDockerBackend(options: LoneOptions): DockerBackend {
  return new DockerBackend({ ...options, engine: new EngineConnection(options) });
}

/** As {@link createDockerBackend}, for the engine's services. */
export function createSwarmBackend(options: LoneOptions): SwarmBackend {
  return new SwarmBackend({ ...options, engine: new EngineConnection(options) });
}
