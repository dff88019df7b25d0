import type { ComposeOrder } from '../config/rules/compose-order.ts';
import {
  canBeWorkload,
  canComplete,
  createDependantResolver,
  cutCycles,
  describeUnmanaged,
  explainEndless,
  qualifyDependant,
  type ResolveDependant,
} from '../config/rules/dependants.ts';
import { labelSuffix } from '../config/fields.ts';
import { optInLabelBeside } from '../model/label-names.ts';
import type { Origin } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { Dependency, Service } from '../model/service.ts';
import type { TableEntry } from '../model/table.ts';
import {
  describeWorkloadRef,
  toWorkloadRef,
  unmanagedRef,
  type WorkloadRef,
  workloadRefKey,
} from '../model/workload.ts';

/** The fields that name other services. */
const FIELDS = ['dependants', 'depends_on'] as const;
type LinkField = (typeof FIELDS)[number];

/** One name in one of the two fields. */
interface Link {
  readonly field: LinkField;
  readonly by: Service['dependsOnBy'];
  readonly origin: Origin;
  /** The workload that a name means if no service has it is of the same engine. */
  readonly ref: WorkloadRef;
  /** The service, or the workload, that names it. */
  readonly from: string;
  /** What the name means. */
  readonly to: string;
  /** In `depends_on`. */
  readonly condition?: Dependency['condition'];
}

interface Known {
  readonly services: ReadonlyMap<string, TableEntry>;
  readonly resolve: ResolveDependant;
  readonly ownKeys: ReadonlySet<string>;
  /** Undefined where Compose's labels are not known. */
  readonly compose: ComposeOrder | undefined;
}

/**
 * Replaces the names of dependants and dependencies by the names of the services that they mean, each once. A name that means
 * no service stands for a workload of the same engine as the service that names it, in Kubernetes as `namespace/name`. Where
 * Compose's labels are to say what a service needs, the names come from them. Some links are left out and reported: one that
 * closes a cycle, a name that the engine can't have, the workload that the proxy itself runs in, and, if labels name it, a
 * workload that has not opted in to that.
 * @param options.own the workloads that the proxy itself runs in.
 * @param options.compose tells what Compose says of its containers; undefined where nobody has asked the engine.
 */
export function linkServices(
  entries: readonly TableEntry[],
  {
    own,
    compose,
  }: {
    readonly own: readonly WorkloadRef[];
    readonly compose: (() => ComposeOrder | undefined) | undefined;
  },
): {
  readonly entries: readonly TableEntry[];
  readonly problems: readonly Problem[];
} {
  if (entries.every(({ service }) => !hasLinks(service))) return { entries, problems: [] };
  const services = new Map(entries.map((entry) => [entry.service.name, entry]));
  const named = entries.map(({ service: { name, workload } }) => ({ name, ref: toWorkloadRef(workload) }));
  const resolve = createDependantResolver(named);
  const asksCompose = entries.some(({ service }) => service.dependsOnBy === 'compose');
  const known: Known = {
    ...{ services, resolve, ownKeys: new Set(own.map(workloadRefKey)) },
    compose: asksCompose ? compose?.() : undefined,
  };
  const problems: Problem[] = [];
  const kept = new Map<string, readonly Link[]>();
  for (const entry of entries) {
    const links = listLinks(entry, known);
    const refused = new Map(links.map((link) => [link, findRefusal(link, known)]));
    problems.push(...[...refused.values()].filter((problem) => problem !== undefined));
    problems.push(...findUnknownOrder(entry, known));
    kept.set(
      entry.service.name,
      links.filter((link) => refused.get(link) === undefined),
    );
  }
  const { cycles, rest } = cutCycles([...kept.values()].flat(), named);
  for (const { from, to, path, link } of cycles) {
    const { field, origin } = link;
    const message = `${field}: ${path.join(' → ')} is a cycle; the link from "${from}" to "${to}" is left out`;
    problems.push({ code: 'dependency-cycle', severity: 'error', message, origin });
  }
  const linked = entries.map((entry): TableEntry => {
    const { service } = entry;
    const links = (kept.get(service.name) ?? []).filter((link) => rest.has(link));
    const dependants = links.filter(({ field }) => field === 'dependants').map(({ to }) => to);
    const dependsOn = links.flatMap(({ field, from, to, condition = 'started' }): readonly Dependency[] =>
      field === 'dependants' ? [] : [{ name: to, condition, ...(from !== service.name && { of: from }) }],
    );
    return { ...entry, service: { ...service, dependants, dependsOn } };
  });
  return { entries: linked, problems };
}

function hasLinks({ dependants, dependsOn, dependsOnBy }: Service): boolean {
  return dependants.length > 0 || dependsOn.length > 0 || dependsOnBy === 'compose';
}

/** All links that a service asks for, each once. */
function listLinks(entry: TableEntry, known: Known): readonly Link[] {
  const { service } = entry;
  const { name: from, dependants, dependsOn, dependsOnBy } = service;
  const links = [
    ...dependants.map((name) => toLink(entry, { field: 'dependants', from, name, by: service.dependantsBy })),
    ...dependsOn.map(({ name, condition }) =>
      toLink(entry, { field: 'depends_on', from, name, condition, by: dependsOnBy }),
    ),
    ...(dependsOnBy === 'compose' ? listComposed(entry, known) : []),
  ].map((link) => ({ ...link, to: known.resolve(link.to, link.ref) ?? qualifyDependant(link.to, link.ref) }));
  const byKey = new Map<string, Link>();
  for (const link of links) {
    const key = `${link.field} ${edgeKey(link.from, link.to)}`;
    if (!byKey.has(key)) byKey.set(key, link);
  }
  return [...byKey.values()];
}

function toLink(
  { service, origins }: TableEntry,
  { name: to, ...link }: Pick<Link, 'field' | 'from' | 'by' | 'condition'> & { readonly name: string },
): Link {
  const origin = origins[link.field] ?? ({ kind: 'default' } as const);
  return { ...link, to, origin, ref: toWorkloadRef(service.workload) };
}

/**
 * What a container needs as Compose has it, and what those need in turn, but for services that say themselves what they
 * need.
 */
function listComposed(entry: TableEntry, { compose, resolve, services }: Known): readonly Link[] {
  const ref = toWorkloadRef(entry.service.workload);
  if (compose === undefined || ref.kind !== 'docker') return [];
  const links: Link[] = [];
  const seen = new Set<string>([ref.name]);
  const rest = [{ from: entry.service.name, container: ref.name }];
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    for (const { container, condition } of compose.linksOf(next.container)) {
      const { from } = next;
      links.push(toLink(entry, { field: 'depends_on', from, name: container, condition, by: 'compose' }));
      if (seen.has(container)) continue;
      seen.add(container);
      const name = resolve(container, ref);
      const origin = name === undefined ? undefined : services.get(name)?.origins['depends_on'];
      if (origin === undefined || origin.kind === 'default')
        rest.push({ from: name ?? container, container });
    }
  }
  return links;
}

/** Warns where Compose's labels are to say what a service needs, and can't. */
function findUnknownOrder({ service, origins }: TableEntry, { compose }: Known): readonly Problem[] {
  const origin = origins['depends_on'];
  if (service.dependsOnBy !== 'compose' || origin === undefined) return [];
  const warn = (message: string): readonly Problem[] => [
    {
      code: 'option-without-effect',
      severity: 'warning',
      message: `${nameOf('depends_on', origin)}: ${message}`,
      origin,
    },
  ];
  const ref = toWorkloadRef(service.workload);
  if (ref.kind !== 'docker')
    return warn(`compose has no effect on a ${describeWorkloadRef(ref)}; name what it needs`);
  if (compose === undefined) return [];
  if (!compose.has(ref.name))
    return warn(
      `container "${ref.name}" does not exist, or Compose has not made it, so nothing says what it needs`,
    );
  const missing = compose.missingFor(ref.name);
  if (missing.length === 0) return [];
  return warn(
    `its project has no container of ${missing.join(', ')}, which it needs as Compose says; it starts without`,
  );
}

/** Says why a link can't be; undefined = it can. */
function findRefusal(link: Link, { services, ownKeys }: Known): Problem | undefined {
  const { field, by, origin, ref, to, condition } = link;
  const service = services.get(to)?.service;
  const what = nameOf(field, origin);
  if (service === undefined && !canBeWorkload(to, ref)) {
    const message = `${what}: "${to}" is no service, and can't be the name of ${describeUnmanaged(ref)}; it is left out`;
    return { code: 'unknown-dependant', severity: 'error', message, origin };
  }
  const meant = service === undefined ? unmanagedRef(to, ref) : toWorkloadRef(service.workload);
  if (ownKeys.has(workloadRefKey(meant))) {
    const message = `${what}: the proxy itself runs in ${describeWorkloadRef(meant)}; it is left out`;
    return { code: 'own-container', severity: 'error', message, origin };
  }
  if (condition === 'completed' && !canComplete(meant))
    return {
      code: 'invalid-value',
      severity: 'error',
      message: `${what}: ${explainEndless(to)}; it is left out`,
      origin,
    };
  if (by !== 'labels' || service?.dependantOfLabels === true) return undefined;
  const [who, whom] = field === 'dependants' ? ['a hub', 'dependants'] : ['a service', 'dependencies'];
  const message =
    service?.isOfFile === true
      ? `${what}: service "${to}" of the file isn't open to hubs by label; write dependant_of_labels: true there if it is to be`
      : `${what}: "${to}" does not exist or has not opted in, so ${who} by label can't reach it; give it ${describeOptIn(origin)}, or name the ${whom} in the file`;
  return { code: 'refused-dependant', severity: 'warning', message, origin };
}

function nameOf(field: LinkField, { kind }: Origin): string {
  return kind === 'label' ? labelSuffix(field) : field;
}

function edgeKey(from: string, to: string): string {
  return `${from} ${to}`;
}

/** The label beside the one that names the dependants. */
function describeOptIn(origin: Origin): string {
  if (origin.kind !== 'label') return 'the label that opts in';
  const noun = origin.workload.kind === 'kubernetes' ? 'annotation' : 'label';
  return `the ${noun} ${optInLabelBeside(origin.label)}=true`;
}
