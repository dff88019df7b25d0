import type { WorkloadKind } from '../model/workload.ts';
import { AwakeWindows } from '../apply/awake-windows.ts';
import { CronWindows } from '../apply/cron-windows.ts';
import { ManualHolds } from '../apply/manual-holds.ts';
import { logRefused, logTurnedAway, logUnserved } from '../apply/client-log.ts';
import { Doors, ServedServices } from '../apply/doors.ts';
import { ListenerSet } from '../apply/listener-set.ts';
import { Reconciler } from '../apply/reconciler.ts';
import { ScheduleSet } from '../apply/schedule-set.ts';
import { createPassListener, createServiceListener, type ListenerParts } from '../apply/service-listener.ts';
import { bindWeb } from '../apply/web/bind-web.ts';
import { FrontSet } from '../apply/web/front-set.ts';
import type { Backend } from '../backends/backend.ts';
import { Lifecycle } from '../lifecycle/lifecycle.ts';
import { nextStartOf } from '../model/availability.ts';
import { formatListenAddress, type ListenerSpec, type Service } from '../model/service.ts';
import type { Webhook } from '../model/webhook.ts';
import type { Admission } from '../relay/access/admission.ts';
import type { Web } from '../relay/http/open-web.ts';
import type { ServedRequest } from '../relay/http/web-engine.ts';
import { TrustedProxies } from '../relay/access/trusted-proxies.ts';
import type { TcpRelay } from '../relay/tcp/tcp-relay.ts';
import { WebhookSender } from '../status/webhook-sender.ts';
import type { Clock } from '../system/clock.ts';
import type { Happenings } from '../system/happenings.ts';
import type { CheckTarget } from '../system/net/http-client.ts';
import { LogLimiter } from '../system/log/log-limiter.ts';
import type { Logger } from '../system/log/logger.ts';
import { OwnListeners } from '../system/net/own-listeners.ts';
import type { StateFolder } from '../system/state/state-folder.ts';
import { CertificateLoader } from './certificate-loader.ts';
import type { Keeping } from './keeping/keeping.ts';
import { WebhookEvents } from './webhook-events.ts';

/** At most one line a second about the refused or unserved clients of a service. */
const CLIENT_LOG_INTERVAL_MS = 1_000;

/** How long connections that were cut may take to end, and the last webhook events to be sent. */
const LAST_ENDS_MS = 300;
const LAST_EVENTS_MS = 1_000;

/** The parts that put a table in force and serve it. */
export interface Runtime {
  readonly lifecycle: Lifecycle;
  readonly relay: TcpRelay;
  readonly listeners: ListenerSet;
  readonly fronts: FrontSet;
  /** Listeners and front doors, as services see them. */
  readonly doors: Doors;
  /** Whose word counts for who a client is; the settings say it. */
  readonly trustedProxies: TrustedProxies;
  readonly certificates: CertificateLoader;
  /** The endpoints of the proxy itself; each part that binds a socket adds its own. */
  readonly own: OwnListeners;
  readonly reconciler: Reconciler;
  readonly schedules: ScheduleSet;
  readonly holds: ManualHolds;
  readonly sender: WebhookSender;
  readonly events: WebhookEvents;
  /** Takes the webhooks of the proxy. */
  setWebhooks(webhooks: readonly Webhook[]): void;
  /** Accepts nobody new, and starts and stops nothing from now on; resolves when the last connection has ended. */
  drain(): Promise<void>;
  /** Ends every connection now, and accepts none from now on. */
  cutConnections(): void;
  /** Ends the connections that are left, stops following workloads, and sends the last webhook events, so that every start has its end. */
  close(): Promise<void>;
}

/** Builds the parts behind the table and wires them; nothing is opened yet. */
export function createRuntime(options: {
  readonly backends: readonly Backend[];
  readonly relay: TcpRelay;
  readonly admission: Admission;
  readonly loadDatagrams: ListenerParts['loadDatagrams'];
  readonly udpBudget: ListenerParts['udpBudget'];
  /** How many workloads may be starting at once. */
  readonly maxStarting: number;
  /** Where the URLs of labels may lead. */
  readonly checkLabelUrl: CheckTarget;
  /** Why the engine of such workloads can't be asked now, in words. */
  readonly explainEngine: (kind: WorkloadKind) => string | undefined;
  /** Those of the proxy. */
  readonly webhooks: readonly Webhook[];
  readonly happenings: Happenings;
  /** What is kept. */
  readonly state: StateFolder;
  /** Remembers what happens across restarts. */
  readonly keeping: Keeping;
  readonly clock: Clock;
  readonly logger: Logger;
}): Runtime {
  const { clock, logger, checkLabelUrl, relay, admission, loadDatagrams, udpBudget, keeping } = options;
  const own = new OwnListeners({ clock, onNews: () => lifecycle.closeLoops() });
  /** Services behind whose listeners webhooks are. */
  const receivers = new Set<string>();
  const sender = new WebhookSender({
    ...{ clock, logger, checkLabelUrl },
    checkUrl({ host: name, address: host, port }, about) {
      const found = own.find('tcp', { host, port });
      const service = found?.isFront === true ? fronts.serviceAt(name) : found?.service;
      if (service === undefined) return undefined;
      // A webhook sent to a listener of ours makes events of that service, which end in a loop if it has a webhook itself.
      const { services = [] } = lifecycle.find(service)?.policy ?? {};
      const isHooked = services.some(
        ({ webhookUrl, webhooks }) => webhookUrl !== undefined || webhooks.length > 0,
      );
      const reason = `${own.explain('tcp', { host, port })}, whose webhook would never end`;
      if (isHooked) return { reason, isExpected: false };
      // Those of the proxy don't hear by such a way of what they cause themselves.
      receivers.add(service);
      return about !== undefined && receivers.has(about) ? { reason, isExpected: true } : undefined;
    },
  });
  const events = new WebhookEvents({
    ...{ sender, clock, webhooks: options.webhooks },
    idOf: (service) => lifecycle.find(service)?.observation.id ?? '',
  });
  const lifecycle: Lifecycle = new Lifecycle({
    ...options,
    memory: keeping,
    own: {
      explain: (protocol, endpoint) => own.explain(protocol, endpoint),
      explainOwnOf: (services, endpoint) => {
        const found = own.find('tcp', endpoint)?.service;
        return services.some(({ name }) => name === found) ? own.explain('tcp', endpoint) : undefined;
      },
      noteDial: (socket, endpoint) => own.noteDial(socket, endpoint),
    },
    // With the service's own settings: it may have left the table, which is why its process was stopped.
    onAct: events.acted,
    onWakeFailed: events.wakeFailed,
    nextStartMs: (service) => nextStartOf(schedules.nextFires(service)),
  });
  const limiter = new LogLimiter(clock, CLIENT_LOG_INTERVAL_MS);
  const trackerOf = (service: Service, listener: ListenerSpec) => events.trackerOf(service, listener);
  const trustedProxies = new TrustedProxies();
  const web = createWebLoader({ ...options, limiter, trustedProxies });
  const certificates: CertificateLoader = new CertificateLoader({
    ...{ clock, logger },
    services: () => [...reconciler.current.entries.values()].map(({ service }) => service),
    policy: () => reconciler.current.frontPolicy,
    ownerOf: (host) => fronts.serviceAt(host),
    state: options.state,
  });
  const parts = {
    loadWeb: web.load,
    offerTls: (service: Service) => certificates.offerTo(service),
    lifecycle,
    trustedProxies,
    relay,
    admission,
    loadDatagrams,
    udpBudget,
    own,
    clock,
    logger,
    limiter,
    happenings: options.happenings,
    trackerOf,
  };
  const served = new ServedServices((service, state) => lifecycle.setServed(service, state));
  const listeners = new ListenerSet({
    create: (spec, service, onDrained) => createServiceListener(spec, { ...parts, service, onDrained }),
    clock,
    logger,
    own,
    onServed: (service, state) => served.report('listeners', service, state),
    onLost: events.listenerLost,
  });
  const fronts: FrontSet = new FrontSet({
    ...{ loadWeb: web.load, clock, logger, own },
    loadCertificates: () => certificates.load(),
    createPass: (spec, service, onDrained) => createPassListener(spec, { ...parts, service, onDrained }),
    bind: (service, spec) => bindWeb(service, { lifecycle, track: trackerOf(service, spec) }),
    onServed: (service, state) => served.report('fronts', service, state),
    onLost: events.frontLost,
    onTurnedAway: (client, { spec, error }) =>
      logTurnedAway(formatListenAddress(spec), { client, error }, { logger, limiter }),
  });
  const windows = new CronWindows({ lifecycle, logger });
  const awakeWindows = new AwakeWindows({ lifecycle, logger });
  const schedules: ScheduleSet = new ScheduleSet({
    clock,
    onFire: (service, action) => windows.fire(service, action),
    onWindow: (service, state) => awakeWindows.set(service, state),
  });
  const holds = new ManualHolds({ lifecycle, clock, logger, memory: keeping });
  keeping.follow({ workloads: () => lifecycle.listKept(), holds: () => holds.list() });
  const reconciler: Reconciler = new Reconciler({
    ...{ lifecycle, listeners, fronts, schedules, windows, awakeWindows, holds },
  });
  return {
    lifecycle,
    relay,
    listeners,
    fronts,
    doors: new Doors({ listeners, fronts }),
    trustedProxies,
    certificates,
    own,
    reconciler,
    schedules,
    holds,
    sender,
    events,
    setWebhooks(webhooks) {
      if (!events.setWebhooks(webhooks)) return;
      listeners.rebindAll();
      fronts.rebindAll();
    },
    drain() {
      keeping.drain();
      schedules.close();
      holds.closeAll();
      lifecycle.drain();
      return Promise.all([listeners.drain(), fronts.drain()]).then(() => {});
    },
    cutConnections() {
      listeners.destroy();
      fronts.destroy();
    },
    async close() {
      schedules.close();
      holds.closeAll();
      lifecycle.close();
      listeners.destroy();
      fronts.destroy();
      web.close();
      certificates.close();
      // Before the connections have ended: the relay thread ends them, and needs a while when there are many.
      events.endClients();
      const ended = Promise.all([listeners.drain(), fronts.drain()]);
      const cut = waitAtMost(ended, { clock, ms: LAST_ENDS_MS });
      await Promise.all([cut, sender.flush(LAST_EVENTS_MS)]);
      sender.close();
      relay.close();
    },
  };
}

/** Loads what serves HTTP when it is first asked for. */
function createWebLoader(options: {
  readonly relay: TcpRelay;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limiter: LogLimiter;
  readonly happenings: Happenings;
  readonly trustedProxies: TrustedProxies;
}): { readonly load: () => Promise<Web>; readonly close: () => void } {
  const { relay, admission, clock, logger, limiter, happenings, trustedProxies } = options;
  const log = { logger, limiter, happenings };
  let loading: Promise<Web> | undefined;
  let web: Web | undefined;
  const load = async () => {
    const { openWeb } = await import('../relay/http/open-web.ts');
    web = openWeb({
      ...{ relay, admission, clock, tune: relay.tune },
      join: (sockets, onEnd) => relay.join(sockets, onEnd),
      isTrusted: (address) => trustedProxies.includes(address),
      onRefused: (client, service) => logRefused({ client, service }, log),
      onUnserved: (client, why) => logUnserved({ client, ...why, protocol: 'http' }, log),
      onBadTheme: (service, reason) =>
        logger.warn({ event: 'waiting-page', service }, `${service}: ${reason}`),
      onServed: logger.shows?.('debug') === false ? undefined : (served) => logServed(served, logger),
    });
    return web;
  };
  return {
    load: () => {
      loading ??= load();
      return loading;
    },
    close: () => web?.close(),
  };
}

/** Logs a request at its end. */
function logServed(served: ServedRequest, logger: Logger): void {
  const { service, client, method, path, status, bytesUp, bytesDown } = served;
  const durationMs = Math.round(served.durationMs);
  const message = `${service}: ${method} ${path} of ${client}: ${status} after ${durationMs} ms, ${bytesUp} bytes up, ${bytesDown} bytes down`;
  logger.debug({ event: 'request-end', ...served, durationMs }, message);
}

function waitAtMost(
  promise: Promise<unknown>,
  { clock, ms }: { readonly clock: Clock; readonly ms: number },
): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(ms, resolve);
    void promise.then(() => {
      cancel();
      resolve();
    });
  });
}
