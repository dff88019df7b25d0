import type { Socket } from 'node:net';
import type { Backend } from '../../backends/backend.ts';
import type { Endpoint, ExplainOwn } from '../../model/observation.ts';
import type { Service } from '../../model/service.ts';
import type { Workload } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { CheckTarget } from '../../system/net/http-client.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { StartQueue } from './start-queue.ts';

/** What the lifecycle of a workload takes from its service. */
export type LifecyclePolicy = Pick<
  Service,
  | 'name'
  | 'listeners'
  | 'idleTimeoutMs'
  | 'startTimeoutMs'
  | 'stopTimeoutMs'
  | 'maxPending'
  | 'cronStart'
  | 'cronStop'
  | 'httpHealthcheck'
  | 'webhookUrl'
  | 'httpHealthcheckStatus'
> & {
  /** True where no service of the table has the workload: it is never idle, only started and stopped by its hubs. */
  readonly unmanaged?: boolean;
};

/** What a controller keeps awake, and how: replaced whole. */
export interface Subject {
  readonly workload: Workload;
  readonly policy: LifecyclePolicy;
  /** Its service is gone: nobody new is served, and a workload that the proxy owns ends when it is unused. */
  readonly retired: boolean;
}

/** What is known of the proxy's own listeners, which must not be taken for a workload's ports. */
export interface OwnPlaces {
  readonly explain: ExplainOwn;
  /** Why a URL of the service may not lead to an endpoint: it is the service's own listener, which waits for the answer. */
  readonly explainOwnOf: (service: string, endpoint: Endpoint) => string | undefined;
  /** A connection begins to where nothing has answered yet: so that it is recognised if it comes in again. */
  readonly noteDial: (socket: Socket, endpoint: Endpoint) => void;
}

/** What the parts of a controller share. */
export interface ControllerParts {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bounds the starts of all controllers together. */
  readonly starts: StartQueue;
  /** Where the health check of a label may lead; default: to the workload alone. */
  readonly checkLabelUrl?: CheckTarget | undefined;
  /** Absent where there are none. */
  readonly own?: OwnPlaces | undefined;
}
