import type { ComposedContainer } from '../backend.ts';
import { readProject } from '../engine/read-project.ts';
import type { KnownContainer } from './container-cache.ts';

/** What Compose says of a container that it has made for a service; nothing of any other, and of `docker compose run`. Pure. */
export function readComposed({
  name,
  labels,
}: Pick<KnownContainer, 'name' | 'labels'>): readonly ComposedContainer[] {
  const service = labels['com.docker.compose.service'];
  const project = readProject(labels);
  if (service === undefined || project === undefined || labels['com.docker.compose.oneoff'] === 'True')
    return [];
  return [{ name, project, service, dependsOn: labels['com.docker.compose.depends_on'] ?? '' }];
}
