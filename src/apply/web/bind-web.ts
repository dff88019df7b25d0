import type { Lifecycle } from '../../lifecycle/lifecycle.ts';
import { UNKNOWN } from '../../model/running/observation.ts';
import type { Service, TargetPort } from '../../model/service.ts';
import { durationOf, usualWakeMs } from '../../model/running/wake.ts';
import { webPortOf } from '../../model/web.ts';
import type { WorkloadReport } from '../../model/running/workload-report.ts';
import { compileAccessList, compileWakeList } from '../../relay/access/access-list.ts';
import type { WakeView, WebBinding } from '../../relay/http/web-binding.ts';
import type { TrackClient } from '../../relay/listener.ts';

/** How the requests for a service are served. @param options.targetPort default: that of its hosts */
export function bindWeb(
  service: Service,
  options: {
    readonly lifecycle: Lifecycle;
    readonly targetPort?: TargetPort | undefined;
    readonly track?: TrackClient | undefined;
  },
): WebBinding {
  const { lifecycle, track } = options;
  const { name, web, maxConnections, maxConnectionsPerAddress, tcpKeepAliveMs: keepAliveMs } = service;
  const portOf = () => options.targetPort ?? webPortOf(web, lifecycle.find(name)?.observation ?? UNKNOWN);
  const wakes = compileWakeList(service.wakeList);
  return {
    service: name,
    get targetPort() {
      return portOf();
    },
    access: compileAccessList(service),
    bounds: { service: name, maxConnections, maxConnectionsPerAddress },
    policy: web,
    proxyProtocol: service.proxyProtocol === 'off' ? undefined : service.proxyProtocol,
    keepAliveMs,
    track,
    // Each request pays for it; copied by spreading, it took 2 % of the processor time.
    takeLease: ({ client, address, user }) =>
      lifecycle.takeRequestLease(name, {
        client,
        address,
        user,
        port: portOf(),
        mayWake: wakes.mayWake(address),
      }),
    isReady: () => lifecycle.find(name)?.state.kind === 'ready',
    look: () => describeWake(lifecycle.find(name)?.account.report),
  };
}

/** How awake a workload is, of all that is known of it. */
export function describeWake(report: WorkloadReport | undefined): WakeView {
  if (report === undefined) return { state: 'asleep' };
  const { state, wakeUnderWay: wake, waiting, failure: reason, life } = report;
  if (state === 'ready') return { state: 'ready' };
  const expectedMs = usualWakeMs(report.wakes);
  if (wake !== undefined)
    return { state: 'waking', phase: wake.phase, elapsedMs: durationOf(wake), expectedMs };
  const elapsedMs = report.longestWaitMs;
  if (state === 'stopping' && waiting > 0) return { state: 'waking', phase: 'stop', elapsedMs, expectedMs };
  if (waiting > 0) return { state: 'waking', phase: report.waitsIn ?? 'queue', elapsedMs, expectedMs };
  return life === 'failed' ? { state: 'failed', reason } : { state: 'asleep' };
}
