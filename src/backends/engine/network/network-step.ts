import { workloadRefName } from '../../../model/workload.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { describeError } from '../../../system/message-of.ts';
import type { EngineClient } from '../engine-client.ts';
import { EngineRefusal } from '../errors.ts';
import type { NetworkStep } from './network-ledger.ts';
import { chooseOwnAddresses } from './own-address.ts';
import { endpointFor } from './own-place.ts';

/** How many addresses are asked for on one network, one after the other. */
const MAX_ADDRESSES = 4;

/** Joins or leaves with the proxy's own container. Returns what was thrown, if anything. */
export async function takeNetworkStep(
  step: NetworkStep,
  options: {
    readonly client: EngineClient;
    readonly containerId: string;
    readonly session: AbortSignal;
  },
): Promise<unknown> {
  const { client, containerId, session } = options;
  const network = step.network.id ?? step.network.name;
  const call = { containerId, signal: session };
  try {
    if (step.act === 'leave') await client.disconnectNetwork(network, call);
    else await joinNetwork(step, { client, ...call });
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Joins at an address that no container there has configured; where it is refused, at another. */
async function joinNetwork(
  step: NetworkStep,
  options: {
    readonly client: EngineClient;
    readonly containerId: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { client, containerId, signal } = options;
  const { network } = step;
  const avoid: string[] = [];
  for (let tries = 1; ; tries++) {
    const addresses = await chooseOwnAddresses(client, { network, ownId: containerId, avoid, signal }).catch(
      (error: unknown) => {
        // Where the engine refuses to tell the addresses of containers, it chooses the proxy's address itself.
        if (signal.aborted || !(error instanceof EngineRefusal)) throw error;
        return undefined;
      },
    );
    try {
      const endpoint = endpointFor(addresses);
      return await client.connectNetwork(network.id ?? network.name, { containerId, endpoint, signal });
    } catch (error) {
      // Engines differ in how they say that an address is taken, so another one is simply tried.
      if (!(error instanceof EngineRefusal) || addresses === undefined || tries === MAX_ADDRESSES)
        throw error;
      avoid.push(...Object.values(addresses));
    }
  }
}

/** One line about what came of it; none where somebody else had done it already. */
export function logNetworkStep(
  step: NetworkStep,
  options: { readonly logger: Logger; readonly isDone: boolean; readonly failure: unknown },
): void {
  const { logger, isDone, failure } = options;
  const { act } = step;
  const network = step.network.name;
  const container = act === 'join' ? workloadRefName(step.workload) : undefined;
  const target = container === undefined ? network : `${network} for ${container}`;
  const fields = { event: `network-${act}`, network, ...(container !== undefined && { container }) };
  if (isDone) {
    if (failure === undefined) logger.info(fields, `${act === 'join' ? 'joined' : 'left'} network ${target}`);
    return;
  }
  // No warning where the network is gone: a container that still names it can't be started anyway.
  const isGone = failure instanceof EngineRefusal && failure.status === 404;
  const reason = failure === undefined ? 'the engine does not show it' : describeError(failure);
  logger[isGone ? 'debug' : 'warn'](
    { ...fields, err: failure },
    `cannot ${act} network ${target}: ${reason}`,
  );
}
