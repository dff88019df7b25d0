import { containerOf } from '../config/check-services.ts';
import type { Environment } from '../config/environment.ts';
import type { Draft } from '../config/fields.ts';
import type { FileConfig } from '../config/file.ts';
import type { LabelReading } from '../config/labels.ts';
import type { FileService } from '../config/read-services.ts';
import { describeOrigin, type Origin } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { ServiceSource } from './merge-service.ts';

/** Pairs each service of the file with its container's labels, and makes services of the labels that are left. */
export function pairSources(input: {
  readonly file: FileConfig | undefined;
  readonly labelled: readonly LabelReading[];
  readonly environment: Environment;
}): { readonly sources: readonly ServiceSource[]; readonly problems: readonly Problem[] } {
  const fileServices = input.file?.services ?? [];
  const below = [input.file?.defaults ?? {}, input.environment.defaults];
  const labelsLeft = new Map(input.labelled.map((reading) => [reading.container, reading]));
  const sources: ServiceSource[] = [];
  const problems: Problem[] = [];
  for (const service of fileServices) {
    const reading = takeLabels(service, labelsLeft);
    problems.push(...(reading?.problems ?? []));
    // Half of what the owner meant may be worse than nothing: an unreadable allow-list must not mean "open to all".
    if (reading?.kind === 'refused') continue;
    const layers: readonly Draft[] = [
      service.draft,
      ...(reading?.draft === undefined ? [] : [reading.draft]),
      ...below,
    ];
    sources.push({ name: service.name, origin: service.origin, layers });
  }
  const byName = new Map(fileServices.map((service) => [service.name, service]));
  for (const { container, draft, problems: found } of labelsLeft.values()) {
    problems.push(...found);
    if (draft === undefined) continue;
    const namesake = byName.get(container);
    const origin = labelOrigin(container, draft);
    if (namesake === undefined) sources.push({ name: container, origin, layers: [draft, ...below] });
    else problems.push(nameTaken(container, { namesake, origin }));
  }
  return { sources, problems };
}

/** The labels of a service's container, taken out of those that are left, also where they are to be ignored. */
function takeLabels(service: FileService, labelsLeft: Map<string, LabelReading>): LabelReading | undefined {
  const container = containerOf(service);
  const reading = container === undefined ? undefined : labelsLeft.get(container);
  if (container === undefined || reading === undefined) return undefined;
  labelsLeft.delete(container);
  return service.draft.ignore_labels?.value === true ? undefined : reading;
}

function labelOrigin(container: string, draft: Draft): Origin {
  return Object.values(draft)[0]?.origin ?? { kind: 'label', container, label: 'enabled' };
}

function nameTaken(
  container: string,
  { namesake, origin }: { readonly namesake: FileService; readonly origin: Origin },
): Problem {
  const other = containerOf(namesake);
  const stands = other === undefined ? 'a local process' : `container "${other}"`;
  const message = `the name "${container}" belongs to a service of the file for ${stands} (${describeOrigin(namesake.origin)}); rename one of them`;
  return { code: 'duplicate-service', severity: 'error', message, origin };
}
