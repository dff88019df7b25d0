import type { ListenerStatus } from '../apply/listener-set.ts';
import { type FieldName, labelSuffix } from '../config/fields.ts';
import type { ResolvedSettings } from '../config/resolve-settings.ts';
import { adviseOnFailure } from '../lifecycle/run/describe-failure.ts';
import { describeMissing } from '../lifecycle/run/obstacle.ts';
import { type Origin, originOfItem } from '../model/origin.ts';
import { formatCount, type Problem } from '../model/problem.ts';
import { describePublished, type Observation } from '../model/running/observation.ts';
import { formatListenAddress, type ListenerSpec, type Service, type ServiceUrl } from '../model/service.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';
import { findWebPort } from '../model/web.ts';
import { describeWorkloadRef, toWorkloadRef } from '../model/workload.ts';
import { PORT_HELD } from '../system/net/bind-error.ts';
import type { LabelUrlGuard } from '../system/net/label-url-guard.ts';
import type { Runtime } from './runtime.ts';

type ExplainUrl = LabelUrlGuard['explainUrl'];

/** URLs from labels that lead to a forbidden place, as far as that is certain without looking a name up. */
export function findForbiddenUrls(table: ServiceTable, explainUrl: ExplainUrl): readonly Problem[] {
  return [...table.entries.values()].flatMap(({ service, origins }): readonly Problem[] => {
    const { httpHealthcheck: check, webhookUrl: webhook } = service;
    const found: Problem[] = [];
    const look = (
      url: typeof check,
      field: string,
      { severity, so }: Pick<Problem, 'severity'> & { so: string },
    ) => {
      const why = url?.from === 'label' ? explainUrl(url.url) : undefined;
      const origin = origins[field] ?? ({ kind: 'default' } as const);
      const message = `${labelSuffix(field)}: ${why}; so ${so}`;
      if (why !== undefined) found.push({ code: 'invalid-url', severity, message, origin });
    };
    look(check, 'http_healthcheck', { severity: 'error', so: `${service.name} never becomes ready` });
    const busy = service.rest.busyCheck;
    const asked = busy?.kind === 'url' ? busy.url : undefined;
    look(asked, 'busy_check', { severity: 'warning', so: `${service.name} counts as not busy` });
    look(webhook, 'webhook_url', { severity: 'warning', so: `no event of ${service.name} is sent` });
    return found;
  });
}

/** Webhooks of the proxy that lead where nothing may be sent, as was seen. */
export function findRefusedWebhooks(
  { settings, origins }: ResolvedSettings,
  { sender }: Pick<Runtime, 'sender'>,
): readonly Problem[] {
  return settings.webhooks.flatMap(({ url }, index): readonly Problem[] => {
    const refusal = sender.refusalOf({ url, from: 'file' });
    if (refusal === undefined) return [];
    const message = `webhooks[${index}]: no event is sent there: ${refusal}`;
    return [
      { code: 'invalid-url', severity: 'warning', message, origin: originOfItem(origins.webhooks, index) },
    ];
  });
}

/** Front doors that are not bound. */
export function findUnboundFronts(
  { origins }: ResolvedSettings,
  { fronts }: Pick<Runtime, 'fronts'>,
): readonly Problem[] {
  return fronts.list().flatMap(({ front, ...status }): readonly Problem[] => {
    const name = front.tls ? 'http.https' : 'http.listen';
    const failure = describeUnbound(`${formatListenAddress(front)}/tcp`, status);
    if (failure === undefined) return [];
    const message = `${name}: the front door ${failure}`;
    return [{ code: 'listen-failed', severity: 'warning', message, origin: origins[name] }];
  });
}

/** In one problem, since a service may listen on thousands. */
function findUnbound(entry: TableEntry, listeners: WorkloadProblemParts['listeners']): readonly Problem[] {
  const { name, listeners: specs } = entry.service;
  const [first, ...others] = specs.flatMap((spec) => {
    const failure = describeUnbound(`${formatListenAddress(spec)}/${spec.protocol}`, listeners.status(spec));
    return failure === undefined ? [] : [failure];
  });
  if (first === undefined) return [];
  const more = others.length === 0 ? '' : `; nor on ${formatCount(others.length)} more of its ports`;
  return [ofWorkload(entry, 'listen-failed', `service ${name} ${first}${more}`)];
}

/** `can't listen on *:80/tcp: another process holds the port; …`; undefined where it listens, or was not tried yet. */
function describeUnbound(
  where: string,
  { condition, error }: Pick<ListenerStatus, 'condition' | 'error'>,
): string | undefined {
  if (condition !== 'failed') return undefined;
  const advice = error === PORT_HELD ? '; free it, or choose another one' : '';
  return `can't listen on ${where}: ${error}${advice}; it is tried again until it works`;
}

/** Problems of services that show only at run time: in a start, or in what the engines report. */
export function collectWorkloadProblems(
  table: ServiceTable,
  parts: WorkloadProblemParts,
  explainUrl: ExplainUrl,
): readonly Problem[] {
  return [...table.entries.values()].flatMap((entry) => findWorkloadProblems(entry, parts, explainUrl));
}

type WorkloadProblemParts = Pick<Runtime, 'lifecycle' | 'listeners' | 'sender'>;

/** Those of one service. */
export function findWorkloadProblems(
  entry: TableEntry,
  { lifecycle, listeners, sender }: WorkloadProblemParts,
  explainUrl: ExplainUrl,
): readonly Problem[] {
  const { service, origins } = entry;
  const { name, webhookUrl, webhooks } = service;
  const controller = lifecycle.find(name);
  const problems: Problem[] = [];
  const { staysAwake } = controller?.observation ?? {};
  if (staysAwake !== undefined)
    problems.push(ofWorkload(entry, 'stays-awake', `service ${name} is not put to sleep: ${staysAwake}`));
  const { cannotPause, busyFailure } = controller?.account ?? {};
  if (busyFailure !== undefined)
    problems.push(
      ofWorkload(
        entry,
        'busy-check',
        `service ${name} counts as not busy: its busy_check has failed again and again: ${busyFailure}`,
      ),
    );
  const sleepFailure = controller?.account.sleepFailure;
  if (sleepFailure !== undefined)
    problems.push(
      ofWorkload(entry, 'sleep-failed', `service ${name} could not be put to sleep: ${sleepFailure}`),
    );
  const noMemory = controller && lifecycle.room.explainNoMemory(controller);
  if (noMemory !== undefined)
    problems.push(ofWorkload(entry, 'unknown-memory', `service ${name} ${noMemory}`));
  if (cannotPause !== undefined)
    problems.push(
      ofWorkload(entry, 'cannot-pause', `service ${name} is stopped instead of paused: ${cannotPause}`),
    );
  if (controller?.state.kind === 'missing') {
    const why = controller.observation.detail ?? describeMissing(service.workload);
    problems.push(
      ofWorkload(entry, 'missing-workload', `service ${name}: ${why}; it is used as soon as it appears`),
    );
  }
  // If the container runs while the listener is bound, they don't compete: the proxy is in a container with ports of its own.
  const isBeside = (listener: ListenerSpec) =>
    controller?.observation.state === 'running' && listeners.status(listener).error === undefined;
  const unbound = service.listeners.filter((listener) => !isBeside(listener));
  const published = controller && describePublished(controller.observation, unbound);
  if (published !== undefined)
    problems.push(ofWorkload(entry, 'listen-conflict', `service ${name}: ${published}`));
  // What a container publishes itself is why the port is taken, and told already.
  else problems.push(...findUnbound(entry, listeners));
  const guess = controller && describeGuessedPort(service, controller.observation);
  if (guess !== undefined) {
    const origin = origins['hosts'] ?? ({ kind: 'default' } as const);
    problems.push({ code: 'invalid-port', severity: 'warning', message: guess, origin });
  }
  const failure = controller?.account.wakes.failure;
  if (failure !== undefined) {
    const advice = adviseOnFailure(failure);
    const told = `service ${name} did not become ready: ${failure}${advice === undefined ? '' : `; ${advice}`}`;
    problems.push(ofWorkload(entry, 'wake-failed', told));
  }
  const isKnown = webhookUrl?.from === 'label' && explainUrl(webhookUrl.url) !== undefined;
  const originOf = (field: FieldName) => origins[field] ?? ({ kind: 'default' } as const);
  const hooks: readonly (readonly [Origin, ServiceUrl])[] = [
    ...(webhookUrl === undefined || isKnown ? [] : [[originOf('webhook_url'), webhookUrl] as const]),
    ...webhooks.map(
      ({ url }, index) => [originOfItem(originOf('webhooks'), index), { url, from: 'file' }] as const,
    ),
  ];
  for (const [origin, url] of hooks) {
    const refusal = sender.refusalOf(url);
    if (refusal === undefined) continue;
    const message = `no event of service ${name} is sent to its webhook: ${refusal}`;
    problems.push({ code: 'invalid-url', severity: 'warning', message, origin });
  }
  return problems;
}

/** Says that nobody knows which port of a workload serves its hosts. The file's check tells it of local processes. */
function describeGuessedPort({ name, workload, web }: Service, seen: Observation): string | undefined {
  const isKnown = seen.state !== 'unknown' && seen.state !== 'missing';
  if (!isKnown || workload.kind === 'process' || web.hosts.length === 0) return undefined;
  if (findWebPort(web, seen) !== undefined) return undefined;
  const who = describeWorkloadRef(toWorkloadRef(workload));
  return `hosts of service ${name}: ${who} does not say which of its ports serves them, so 80 is used; set http_port`;
}

function ofWorkload({ service }: TableEntry, code: Problem['code'], message: string): Problem {
  const origin = { kind: 'workload', workload: toWorkloadRef(service.workload) } as const;
  return { code, severity: 'warning', message, origin };
}
