/**
 * Which containers become services of a file to begin with. Input: the containers that an engine has. Output: which are served at which
 * ports, which are proposed, which are left out and why. Guarantees: pure; no two of those that are served want the same place.
 *
 * What is published on the machine is served: the proxy takes over the port. What only other containers reach is proposed, because
 * putting it to sleep would cut who goes past the proxy.
 */
import type { ContainerSurvey, SurveyedContainer } from '../../backends/docker/survey-containers.ts';
import { type LabelReading, parseLabels } from '../../config/labels.ts';
import { readComposeOrder } from '../../config/rules/compose-order.ts';
import { findCycles } from '../../config/rules/dependants.ts';
import { claimStatus, createListenClaims, type ListenClaims } from '../../config/rules/listen-claims.ts';
import { parseBindAddress } from '../../config/values/address.ts';
import { isName } from '../../config/values/text.ts';
import type { Dependency, ListenerSpec } from '../../model/service.ts';
import type { Settings } from '../../model/settings.ts';

/** A container in the file: as a service, or as a comment. */
export interface Entry {
  readonly container: SurveyedContainer;
  readonly notes: readonly string[];
  readonly listeners: readonly ListenerSpec[];
  /** Services of the file that it depends on. */
  readonly dependsOn: readonly Dependency[];
  /** Containers beyond the file that it depends on. */
  readonly otherNeeds: readonly string[];
  readonly isServed: boolean;
}

/** A container that is no entry, and why. */
export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** What the file says. */
export interface StartingServices {
  /** By name. */
  readonly entries: readonly Entry[];
  readonly leftOut: readonly LeftOut[];
  /** Names of containers that are served by their labels already. */
  readonly labelled: readonly string[];
  /** Where the status server can listen. */
  readonly statusPort: number;
}

/** The usual one. */
export const STATUS_PORT = 8080;
/** What Compose's labels begin with. */
export const COMPOSE = 'com.docker.compose.';
const MAX_PORT = 65_535;
const MAX_NAME = 255;

/** @param options.refused names of those that can't be services, and why. */
export function chooseServices(
  survey: ContainerSurvey | undefined,
  { settings, refused }: { readonly settings: Settings; readonly refused: ReadonlyMap<string, string> },
): StartingServices {
  const containers = survey?.containers ?? [];
  const readings = new Map(
    containers.map(({ name, labels }) => [
      name,
      parseLabels({ ref: { kind: 'docker', name }, labels }, { prefixes: settings.docker.labelPrefixes }),
    ]),
  );
  const isLabelled = ({ name }: SurveyedContainer) => readings.get(name)?.kind !== 'ignored';
  const statusPort = chooseStatusPort(containers, [...readings.values()]);
  const claims = createListenClaims<string>();
  claimStatus(claims, { status: { address: '', port: statusPort }, owner: 'the status server' });
  for (const container of containers.filter(isLabelled))
    for (const listener of listenersOf(readings.get(container.name))) claims.claim(listener, container.name);
  const leftOut: LeftOut[] = [];
  const usable = containers.filter((container) => {
    const reason = isLabelled(container) ? describeLabelled(readings.get(container.name)) : whyNot(container);
    if (reason !== undefined) leftOut.push({ name: container.name, reason });
    return reason === undefined;
  });
  const isInContainer = survey?.isInContainer === true;
  // Who runs now has the port now.
  const inTurn = usable.toSorted((a, b) => Number(b.isRunning) - Number(a.isRunning));
  const entries = inTurn.map((container) =>
    describeEntry(container, { claims, isInContainer, refused: refused.get(container.name) }),
  );
  return {
    entries: linkNeeds(entries.toSorted((a, b) => compareNames(a.container, b.container))),
    leftOut,
    labelled: containers.filter(isLabelled).map(({ name }) => name),
    statusPort,
  };
}

function compareNames(a: SurveyedContainer, b: SurveyedContainer): number {
  return a.name < b.name ? -1 : 1;
}

function listenersOf(reading: LabelReading | undefined): readonly ListenerSpec[] {
  return [...(reading?.draft?.ports?.value ?? []), ...(reading?.draft?.udp_ports?.value ?? [])];
}

/** The usual one, or the next that nobody has. */
function chooseStatusPort(
  containers: readonly SurveyedContainer[],
  readings: readonly LabelReading[],
): number {
  const taken = new Set([
    ...containers.flatMap(({ published }) =>
      published.flatMap(({ protocol, port }) => (protocol === 'tcp' ? [port] : [])),
    ),
    ...readings.flatMap(listenersOf).flatMap(({ protocol, port }) => (protocol === 'tcp' ? [port] : [])),
  ]);
  let port = STATUS_PORT;
  while (taken.has(port) && port < MAX_PORT) port += 1;
  return port;
}

function describeLabelled(reading: LabelReading | undefined): string {
  if (reading?.kind !== 'refused')
    return 'its labels say how it is served; what this file says of it counts more';
  // A warning refuses nothing.
  const problem = reading.problems.find(({ severity }) => severity === 'error');
  const place = problem?.origin.kind === 'label' ? `label ${problem.origin.label}: ` : '';
  return `its labels opt in, but have a mistake: ${place}${problem?.message ?? ''}`;
}

/** Why a container can't be served, or is not to be; undefined = it can. */
function whyNot(container: SurveyedContainer): string | undefined {
  const { name, labels, network } = container;
  if (container.isProxy) return 'it is the proxy itself';
  if (!isName(name) || name.length > MAX_NAME) return 'this file can not have its name';
  const swarm = labels['com.docker.swarm.service.name'];
  if (swarm !== undefined)
    return `it belongs to the Swarm service ${swarm}, which is served as swarm_service: ${swarm}`;
  if (labels['io.kubernetes.pod.name'] !== undefined) return 'it belongs to a pod of Kubernetes';
  if (labels[`${COMPOSE}oneoff`] === 'True') return 'docker compose run has made it for one command';
  if (container.isRemovedAtStop)
    return 'the engine removes it when it stops (--rm), so nothing could wake it again';
  if (network.kind === 'host')
    return "it uses the machine's own network, and listens there itself; to serve it, give the proxy other ports";
  if (network.kind === 'container') return `it uses the network of another container (${network.of})`;
  const { published, exposed, foreignPorts } = container;
  if (published.length > 0 || exposed.length > 0) return undefined;
  return foreignPorts.length > 0
    ? `it has ports of other protocols alone (${foreignPorts.join(', ')})`
    : 'it has no port';
}

function describeEntry(
  container: SurveyedContainer,
  options: {
    readonly claims: ListenClaims<string>;
    readonly isInContainer: boolean;
    readonly refused: string | undefined;
  },
): Entry {
  const { claims, isInContainer, refused } = options;
  const { name, published, exposed, foreignPorts } = container;
  const notes: string[] = [];
  const isPublished = published.length > 0;
  const wanted = isPublished
    ? published.map(({ protocol, address, port, targetPort }): ListenerSpec => {
        const own = isInContainer ? '' : (parseBindAddress(address) ?? '');
        return { protocol, address: own, port: port ?? targetPort, targetPort };
      })
    : exposed.map(({ protocol, port }): ListenerSpec => ({ protocol, address: '', port, targetPort: port }));
  if (refused !== undefined) notes.push(`Not served: ${refused}`);
  const listeners: ListenerSpec[] = [];
  // What is only proposed takes no port from others.
  for (const listener of distinct(wanted).toSorted(compareListeners)) {
    const holder = isPublished && refused === undefined ? claims.claim(listener, name) : undefined;
    if (holder === undefined) listeners.push(listener);
    else if (holder !== name) notes.push(describeTaken(listener, holder));
  }
  if (published.some(({ port }) => port === undefined))
    notes.push('The engine chose a port of the machine for it at each start; here it is always the same.');
  if (foreignPorts.length > 0) notes.push(`Not relayed: ${foreignPorts.join(', ')}`);
  const isServed = isPublished && refused === undefined && listeners.length > 0;
  const fallback = isPublished ? distinct(wanted) : [];
  return {
    ...{ container, notes, isServed, dependsOn: [], otherNeeds: [] },
    listeners: listeners.length > 0 ? listeners : fallback,
  };
}

function describeTaken({ protocol, port, targetPort }: ListenerSpec, holder: string): string {
  return `Port ${port}/${protocol} is taken by ${holder} already: choose another one for its port ${targetPort}.`;
}

/** Each place once; every address of IPv4 and every address of IPv6 together are every address. */
export function distinct(listeners: readonly ListenerSpec[]): readonly ListenerSpec[] {
  const keyOf = ({ protocol, address, port, targetPort }: ListenerSpec) =>
    `${protocol} ${address} ${port} ${targetPort}`;
  const found = new Map(listeners.map((listener) => [keyOf(listener), listener]));
  for (const listener of listeners) {
    const both = ['0.0.0.0', '::'].map((address) => keyOf({ ...listener, address }));
    if (!both.every((key) => found.has(key))) continue;
    for (const key of both) found.delete(key);
    const every = { ...listener, address: '' };
    found.set(keyOf(every), every);
  }
  return [...found.values()];
}

export function compareListeners(a: ListenerSpec, b: ListenerSpec): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.port - b.port;
}

/** Who depends on whom, as Compose has written it down. */
function linkNeeds(entries: readonly Entry[]): readonly Entry[] {
  const order = readComposeOrder(
    entries.flatMap(({ container: { name, labels } }) => {
      const project = labels[`${COMPOSE}project`];
      const service = labels[`${COMPOSE}service`];
      const dependsOn = labels[`${COMPOSE}depends_on`] ?? '';
      return project && service ? [{ name, project, service, dependsOn }] : [];
    }),
  );
  const served = new Set(entries.flatMap(({ container, isServed }) => (isServed ? [container.name] : [])));
  const links = [...served].map((name) => [name, order.linksOf(name)] as const);
  const edges = links.map(
    ([name, needed]) =>
      [name, needed.map(({ container }) => container).filter((one) => served.has(one))] as const,
  );
  // Compose knows none, but anybody can write such labels.
  const cut = new Set(findCycles(new Map(edges)).map(({ from, to }) => `${from} ${to}`));
  const linksOf = new Map(links);
  return entries.map((entry) => {
    const { name } = entry.container;
    const needed = linksOf.get(name) ?? [];
    return {
      ...entry,
      dependsOn: needed
        .filter(({ container }) => served.has(container) && !cut.has(`${name} ${container}`))
        .map(({ container, condition }) => ({ name: container, condition })),
      otherNeeds: needed.map(({ container }) => container).filter((one) => !served.has(one)),
    };
  });
}
