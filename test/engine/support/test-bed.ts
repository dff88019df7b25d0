import { onTestFinished as onCurrentTestFinished, type TestContext } from 'vitest';
import { createScope, type Scope } from './engine.ts';
import { type EngineEvents, watchEngineEvents } from './engine-events.ts';
import { getJson } from './http.ts';
import { type ProxyOptions, type ProxyProcess, startProxy } from './proxy.ts';

/** Fields of a service, named as in the file. */
export type ServiceFields = Readonly<
  Record<string, string | number | boolean | readonly string[] | Readonly<Record<string, string>>>
>;

export interface BedProxyOptions extends ProxyOptions {
  /** The `services` of the configuration file, in place of its text; neither = no file. */
  readonly services?: Readonly<Record<string, ServiceFields>>;
}

/** One test's part of the engine, and what it watches of it; all of it goes when the test has finished. */
export interface TestBed {
  readonly scope: Scope;
  readonly events: EngineEvents;
  /** Labels that opt in, under this test's own prefix: only the proxies of this test see them. */
  labels(fields: ServiceFields): Record<string, string>;
  /** Starts a proxy that reads this test's labels, and resolves once it is ready. */
  startProxy(options?: BedProxyOptions): Promise<ProxyProcess>;
  /** Has something undone when the test has finished, before the bed's own things go. */
  atEnd(undo: () => void | Promise<void>): void;
}

/** One row of `GET /status`, in the fields that the tests look at. */
export interface StatusRow {
  readonly container_id: string;
  readonly container_name: string;
  readonly listen_port: number;
  readonly target_port: number;
  readonly running: boolean;
  readonly active_conns: number;
  readonly last_active: string;
  readonly last_active_relative: string;
  readonly protocol: string;
  /** UDP: dropped datagrams by reason. */
  readonly dropped?: Readonly<Record<string, number>>;
  readonly service: string;
  readonly availability: string;
  readonly state: string;
  /** TCP: refused clients by reason. */
  readonly refused?: Readonly<Record<string, number>>;
  readonly unavailable?: string;
  readonly next_start?: string;
  readonly error?: string;
  readonly last_wake?: {
    readonly at: string;
    readonly cause: string;
    readonly engine_ms: number;
    readonly health_ms: number;
    readonly port_ms: number;
    readonly result: string;
    readonly reason?: string;
  };
}

/**
 * @param options.host default: the engine under test.
 * @param options.onTestFinished that of the test's own context, which concurrent tests have to pass.
 */
export async function openTestBed(
  options: { readonly host?: string; readonly onTestFinished?: TestContext['onTestFinished'] } = {},
): Promise<TestBed> {
  const { onTestFinished = onCurrentTestFinished, host } = options;
  const scope = createScope(host === undefined ? {} : { host });
  onTestFinished(() => scope.cleanup());
  const events = await watchEngineEvents(scope);
  onTestFinished(() => events.close());
  return {
    scope,
    events,
    labels: (fields) => writeLabels(scope.prefix, fields),
    atEnd: (undo) => onTestFinished(undo),
    async startProxy({ services, args = [], env, ...rest } = {}) {
      const proxy = await startProxy({
        ...rest,
        args: ['--label-prefix', scope.prefix, ...args],
        env: { ...(host && { DOCKER_HOST: host }), ...env },
        ...(services && { config: writeConfig(services) }),
      });
      onTestFinished(async () => void (await proxy.stop()));
      return proxy;
    },
  };
}

/** The text of a configuration file; JSON is YAML. */
export function writeConfig(services: Readonly<Record<string, ServiceFields>>): string {
  return JSON.stringify({ services }, undefined, 2);
}

/** Labels that opt in under `prefix`: `idle_timeout` becomes `<prefix>.idle-timeout`. */
export function writeLabels(prefix: string, fields: ServiceFields): Record<string, string> {
  const entries = Object.entries(fields).map(([field, value]) => {
    const text = Array.isArray(value) ? value.join(',') : String(value);
    return [`${prefix}.${field.replaceAll('_', '-')}`, text] as const;
  });
  return Object.fromEntries([[`${prefix}.enabled`, 'true'], ...entries]);
}

/** Resolves when the proxy has seen that the service sleeps: `ready` may come before it has looked, and then it can tell nothing. */
export async function untilSeenAsleep(proxy: ProxyProcess, service: string): Promise<void> {
  await proxy.waitForLog((line) => line.event === 'asleep' && line.service === service);
}

/** What the status tells of one listener. */
export async function getStatus(
  proxy: ProxyProcess,
  { service, port }: { readonly service: string; readonly port: number },
): Promise<StatusRow | undefined> {
  const rows = await getJson<StatusRow[]>(`${proxy.statusUrl}/status`);
  return rows.find((row) => row.service === service && row.listen_port === port);
}
