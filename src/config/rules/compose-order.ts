/** What Compose says of the order of its containers, by the labels that it has written on them. Pure. */
import type { DependencyCondition } from '../../model/service.ts';
import { readComposeCondition } from '../values/dependencies.ts';

/** A container of a Compose project, as its engine tells it. */
export interface ComposedContainer {
  readonly name: string;
  readonly project: string;
  /** The name of its service in the project. */
  readonly service: string;
  readonly dependsOn: string;
}

export interface ComposeLink {
  /** The container that is needed. */
  readonly container: string;
  readonly condition: DependencyCondition;
}

/** What is known of the containers of all projects. */
export interface ComposeOrder {
  /** Whether Compose has made the container. */
  has(container: string): boolean;
  /** What a container needs: all containers of each service that its own service depends on. */
  linksOf(container: string): readonly ComposeLink[];
  /** The services that a container needs, and that have no container. */
  missingFor(container: string): readonly string[];
}

export function readComposeOrder(containers: readonly ComposedContainer[]): ComposeOrder {
  const byName = new Map(containers.map((container) => [container.name, container]));
  const byService = new Map<string, string[]>();
  for (const { name, project, service } of containers) {
    const key = serviceKey(project, service);
    byService.set(key, [...(byService.get(key) ?? []), name].sort());
  }
  const read = (name: string) => {
    const container = byName.get(name);
    return readLabel(container?.dependsOn ?? '').map(({ service, condition }) => ({
      ...{ service, condition },
      containers: byService.get(serviceKey(container?.project ?? '', service)) ?? [],
    }));
  };
  return {
    has: (name) => byName.has(name),
    linksOf: (name) =>
      read(name).flatMap(({ condition, containers: needed }) =>
        needed.filter((one) => one !== name).map((container) => ({ container, condition })),
      ),
    missingFor: (name) =>
      read(name).flatMap(({ service, containers: needed }) => (needed.length === 0 ? [service] : [])),
  };
}

/**
 * Each entry is `service:condition:restart`; older versions wrote the service alone. Whether Compose restarts a service with
 * what it needs is not asked here. A condition of a later version counts as the weakest.
 */
function readLabel(
  text: string,
): readonly { readonly service: string; readonly condition: DependencyCondition }[] {
  return text.split(',').flatMap((entry) => {
    const [service = '', word = ''] = entry.trim().split(':');
    return service === '' ? [] : [{ service, condition: readComposeCondition(word) ?? 'started' }];
  });
}

function serviceKey(project: string, service: string): string {
  return `${project}/${service}`;
}
