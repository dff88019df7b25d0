import type { FlowLease } from '../../../src/relay/udp/flow-lease.ts';
import type { Endpoint } from '../../support/datagrams.ts';

/** The leases on a workload that is awake. */
export class Leases {
  /** How many are held. */
  count = 0;

  /** A lease whose flow gets to an upstream on this machine at once. */
  on(upstream: Endpoint): FlowLease {
    this.count++;
    return {
      async open({ follow, signal }) {
        const value = await follow({ host: '127.0.0.1', port: upstream.port }, signal);
        return { value, ended: new AbortController().signal };
      },
      answered() {},
      mayAnswerElsewhere: () => false,
      doubt() {},
      release: () => {
        this.count--;
      },
    };
  }
}
