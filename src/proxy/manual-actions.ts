import { MAX_HOLD_MS } from '../apply/manual-holds.ts';
import { parseDuration } from '../config/values/duration.ts';
import type { ServiceTable } from '../model/table.ts';
import type { WorkloadReport } from '../model/running/workload-report.ts';
import type { Actions, ApiContent, Outcome } from '../status/api/content.ts';
import type { Runtime } from './runtime.ts';

const HOUR_MS = 3_600_000;
const DONE: Outcome = { kind: 'done' };

type Parts = Pick<Runtime, 'lifecycle' | 'doors' | 'holds'> & {
  readonly table: () => ServiceTable;
  readonly about: ApiContent['about'];
};

/** What people may do to services of the table, by the API. */
export function createActions(parts: Parts): Actions {
  const { lifecycle, doors, holds, table } = parts;
  const wake: Actions['wake'] = (name, by) => {
    const refusal = explainIdle(parts) ?? explainSilence(name, parts) ?? explainAbsence(name, parts);
    if (refusal !== undefined) return refusal;
    // Given back at once: what it has asked for is still done, and its idle time counts from when it is awake.
    lifecycle
      .find(name)
      ?.hold(by, { keeper: { kind: 'hand', untilMs: 0 } })
      .release();
    return DONE;
  };
  return {
    wake,
    sleep(name, { force, by }) {
      const controller = lifecycle.find(name);
      // The workload's clients are those of all its services.
      const sharers = (controller?.policy.services ?? []).flatMap(
        (sharer) => table().entries.get(sharer.name)?.service ?? [],
      );
      const places = sharers.flatMap((service) => doors.of(service).map((spec) => ({ service, spec })));
      const counts = places.map(({ spec, service }) => doors.status(spec, service).activeConnections);
      const clients = counts.reduce((sum, count) => sum + count, 0);
      const refusal =
        explainIdle(parts) ??
        explainSilence(name, parts) ??
        explainKept(controller?.account.report, force ? 0 : clients);
      if (refusal !== undefined) return refusal;
      if (force) for (const { spec, service } of places) doors.cutClients(spec, service);
      for (const sharer of sharers) holds.close(sharer.name);
      controller?.sleep({ kind: 'hand', words: by });
      return DONE;
    },
    hold(name, { time, by }) {
      const forMs = time === undefined ? HOUR_MS : parseHoldTime(time);
      if (typeof forMs === 'string') return { kind: 'refused', status: 400, detail: forMs };
      const refusal = explainIdle(parts) ?? explainAbsence(name, parts);
      if (refusal !== undefined) return refusal;
      holds.hold(name, { forMs, by });
      return DONE;
    },
    release(name, by) {
      // What is held when the proxy begins to end is held again after its next start.
      const refusal = explainIdle(parts);
      if (refusal !== undefined) return refusal;
      holds.release(name, by);
      return DONE;
    },
  };
}

/** A bare number is seconds, as in the file. @returns ms, or what is wrong with it. */
function parseHoldTime(text: string): number | string {
  const parsed = parseDuration(/^\d+$/.test(text) ? Number(text) : text);
  const bounds = 'a hold lasts from 1s to 30d';
  if (!parsed.ok) return `${JSON.stringify(text)} is not a time such as 2h or 1h30m; ${bounds}`;
  if (parsed.value < 1_000) return `${text} is too short: ${bounds}`;
  if (parsed.value > MAX_HOLD_MS) return `${text} is too long: ${bounds}`;
  return parsed.value;
}

function explainIdle({ about }: Parts): Outcome | undefined {
  const { phase: now } = about();
  if (now === 'serving') return undefined;
  return { kind: 'refused', status: 503, detail: `the proxy is ${now}, and does nothing by hand now` };
}

/** Not of a hold: that lasts until the engine answers, and is kept then. */
function explainSilence(name: string, { lifecycle, about }: Parts): Outcome | undefined {
  const kind = lifecycle.find(name)?.workload.kind;
  const engine = about().engines.find((one) => one.kind === kind);
  if (engine?.problem === undefined) return undefined;
  return { kind: 'refused', status: 503, detail: `${engine.name} does not answer: ${engine.problem}` };
}

function explainAbsence(name: string, { lifecycle }: Parts): Outcome | undefined {
  const controller = lifecycle.find(name);
  const kind = controller?.state.kind;
  if (controller !== undefined && kind !== 'missing' && kind !== 'unknown') return undefined;
  const why = controller?.obstacles.between() ?? 'its state is not known yet';
  return { kind: 'refused', status: 409, detail: `${name} can't be woken: ${why}` };
}

/** Why it can't be put to sleep by hand: for its schedule and for who holds it, the one who asks decides. */
function explainKept(report: WorkloadReport | undefined, clients: number): Outcome | undefined {
  const keepers = report?.keepers ?? [];
  const whys = [
    ...(clients > 0
      ? [`${clients} ${clients === 1 ? 'client uses' : 'clients use'} it; force=true cuts them`]
      : []),
    ...keepers.flatMap((keeper) => (keeper.kind === 'hub' ? [`${keeper.hub} runs, and needs it`] : [])),
    ...(keepers.some(({ kind }) => kind === 'replica')
      ? ['another replica of the proxy has clients of it']
      : []),
    ...(keepers.some(({ kind }) => kind === 'standby')
      ? ['another replica of the proxy puts it to sleep']
      : []),
    ...(report?.observation.staysAwake === undefined ? [] : [report.observation.staysAwake]),
  ];
  if (whys.length === 0) return undefined;
  return { kind: 'refused', status: 409, detail: `it is not put to sleep: ${whys.join('; ')}`, leases: true };
}
