/**
 * What the API has to show and to do, of the proxy's parts. Loaded when somebody first asks for it, from a file of its own:
 * whatever only the API needs belongs here, or is imported from here alone.
 */
import type { Backend } from '../backends/backend.ts';
import { suggestNearest } from '../config/values/suggest.ts';
import { formatProblemForLog, type Problem } from '../model/problem.ts';
import type { TraefikSettings } from '../model/settings.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';
import { workloadRefName } from '../model/workload.ts';
import { type Api, createApi } from '../status/api/api.ts';
import type { Access } from '../status/access.ts';
import type { ApiContent, MemoryView } from '../status/api/content.ts';
import type { Clock } from '../system/clock.ts';
import type { Happenings } from '../system/happenings.ts';
import { createActions } from './manual-actions.ts';
import { MemoryReader } from './memory-reader.ts';
import type { Runtime } from './runtime.ts';
import { collectServiceDetail, collectServiceViews } from './service-views.ts';

export interface ApiParts {
  readonly runtime: Runtime;
  readonly backends: readonly Backend[];
  /** What the proxy itself tells. */
  readonly proxy: Pick<ApiContent, 'about' | 'config' | 'reload'>;
  readonly traefik: () => TraefikSettings;
  readonly access: Access;
  readonly happenings: Happenings;
  /** What is wrong with a service at run time. */
  readonly problemsOf: (entry: TableEntry) => readonly Problem[];
  readonly clock: Clock;
}

/** Whoever opens it closes it. */
export function openApi(parts: ApiParts): Api {
  const { runtime, backends, proxy, traefik, access, happenings, problemsOf, clock } = parts;
  const { reconciler, lifecycle } = runtime;
  const memory = new MemoryReader({ backends, clock });
  const content: ApiContent = {
    ...proxy,
    routes: () => ({ table: reconciler.current, traefik: traefik() }),
    listen: (listener) => happenings.listen(listener),
    ...createActions({ ...runtime, table: () => reconciler.current, about: proxy.about }),
    services: (only) => collectServiceViews(reconciler.current, { ...runtime, only }),
    service: (name, { maxClients }) =>
      collectServiceDetail(name, { ...runtime, table: reconciler.current, maxClients, problemsOf }),
    explainAbsence: (name) => explainAbsence(name, reconciler.current),
    async memory(names) {
      const known = names.flatMap((name) => {
        const controller = lifecycle.find(name);
        return controller === undefined ? [] : [{ name, controller }];
      });
      const read = await memory.read(known.map(({ controller }) => controller));
      const views = known.map(({ name, controller }) => [name, read.get(controller)] as const);
      return new Map(views.filter((entry): entry is [string, MemoryView] => entry[1] !== undefined));
    },
  };
  const api = createApi(content, { access, clock });
  return {
    take: (request) => api.take(request),
    close() {
      memory.close();
      api.close();
    },
  };
}

/** A workload whose labels are refused has no service: then they say why. */
function explainAbsence(name: string, { entries, problems }: ServiceTable): string {
  const refused = problems.find(
    ({ severity, origin }) =>
      severity === 'error' && origin.kind === 'label' && workloadRefName(origin.workload) === name,
  );
  return refused === undefined
    ? suggestNearest(name, [...entries.keys()])
    : `: ${formatProblemForLog(refused)}`;
}
