import type { Environment } from '../config/environment.ts';
import type { Draft } from '../config/fields.ts';
import type { FileConfig } from '../config/file.ts';
import type { LabelReading } from '../config/labels.ts';
import type { FileService } from '../config/read/read-services.ts';
import { groupByWorkload, inheritFrom, leaveOutDoors } from '../config/rules/shared-workload.ts';
import { type EngineDefaults, workloadFieldOf, workloadRefOf } from '../config/rules/workload-of.ts';
import { describeOrigin, type Origin } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import { describeWorkloadRef, type WorkloadRef, workloadRefKey, workloadRefName } from '../model/workload.ts';
import type { ServiceSource } from './merge-service.ts';

/**
 * Pairs each service of the file with its workload's labels, and makes services of the labels that are left. Several services of
 * one workload take over from each other what is the workload's.
 */
export function pairSources(input: {
  readonly file: FileConfig | undefined;
  readonly labelled: readonly LabelReading[];
  readonly environment: Environment;
  readonly engine: EngineDefaults;
}): { readonly sources: readonly ServiceSource[]; readonly problems: readonly Problem[] } {
  const fileServices = input.file?.services ?? [];
  const below = [input.file?.defaults ?? {}, input.environment.defaults];
  const labelsLeft = new Map(input.labelled.map((reading) => [workloadRefKey(reading.ref), reading]));
  const sources: ServiceSource[] = [];
  const problems: Problem[] = [];
  const taken = new Map<string, NameHolder>();
  const services = fileServices.map((service) => ({ ...service, ref: workloadRefOf(service, input.engine) }));
  for (const { name, origin, ref } of services) taken.set(name, { ref, place: origin });
  for (const sharers of groupByWorkload(services)) {
    const reading = takeLabels(sharers, labelsLeft);
    problems.push(...(reading?.problems ?? []));
    // Half of what the owner meant may be worse than no service: an allow-list that can't be read must not mean "open
    // to all".
    if (reading?.kind === 'refused') continue;
    const { createdMs, optIn, draft: labels = {} } = reading ?? {};
    for (const [index, { name, origin, ref, draft }] of sharers.entries()) {
      const others = inheritFrom(sharers.filter((other) => other.name !== name));
      const layers = [draft, others, index === 0 ? labels : leaveOutDoors(labels), ...below];
      sources.push({ name, origin, ref, isOfFile: true, createdMs, optIn, layers: layers.filter(isWritten) });
    }
  }
  const fromLabels = nameLabelled(byKey(labelsLeft), { taken, below });
  return {
    sources: [...sources, ...fromLabels.sources],
    problems: [...problems, ...fromLabels.problems],
  };
}

/** Who has a name already: a service of the file, with its place, or a labelled workload. */
interface NameHolder {
  readonly ref: WorkloadRef;
  readonly place?: Origin;
}

/**
 * Makes services of labels alone, each with its workload's name; if the name is taken, the service is left out and
 * reported.
 */
function nameLabelled(
  readings: readonly LabelReading[],
  { taken, below }: { readonly taken: Map<string, NameHolder>; readonly below: readonly Draft[] },
): { readonly sources: readonly ServiceSource[]; readonly problems: readonly Problem[] } {
  const sources: ServiceSource[] = [];
  const problems: Problem[] = [];
  for (const { ref, draft, problems: found, createdMs, optIn } of readings) {
    problems.push(...found);
    if (draft === undefined || optIn === undefined) continue;
    const name = workloadRefName(ref);
    const namesake = taken.get(name);
    const origin = Object.values(draft)[0]?.origin ?? optIn;
    if (namesake !== undefined) problems.push(nameTaken(ref, { namesake, origin }));
    else {
      taken.set(name, { ref });
      sources.push({ name, origin, ref, isOfFile: false, createdMs, optIn, layers: [draft, ...below] });
    }
  }
  return { sources, problems };
}

/** Takes the labels of some services' workload out of those that are left, also if the services ignore them. */
function takeLabels(
  sharers: readonly (FileService & { readonly ref: WorkloadRef })[],
  labelsLeft: Map<string, LabelReading>,
): LabelReading | undefined {
  const [main] = sharers;
  if (main === undefined) return undefined;
  const key = workloadRefKey(main.ref);
  const reading = labelsLeft.get(key);
  labelsLeft.delete(key);
  return sharers.some(({ draft }) => draft.ignore_labels?.value === true) ? undefined : reading;
}

/** A layer without a field costs time in each merge. */
function isWritten(layer: Draft): boolean {
  for (const _ in layer) return true;
  return false;
}

/** Sorts, so that the result doesn't depend on which engine answered first. */
function byKey(labelled: ReadonlyMap<string, LabelReading>): readonly LabelReading[] {
  return [...labelled].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, reading]) => reading);
}

function nameTaken(
  ref: WorkloadRef,
  { namesake, origin }: { readonly namesake: NameHolder; readonly origin: Origin },
): Problem {
  const { ref: other, place } = namesake;
  const name = workloadRefName(ref);
  const stands = other.kind === 'process' ? 'a local process' : describeNamesake(other);
  const owner =
    place === undefined
      ? `${stands}, which has labels, too`
      : `a service of the file for ${stands} (${describeOrigin(place)})`;
  const remedy = `rename one of them, or give this one another name in the file (${workloadFieldOf(ref)}: ${name})`;
  const message = `the name "${name}" belongs to ${owner}; ${remedy}`;
  return { code: 'duplicate-service', severity: 'error', message, origin };
}

function describeNamesake(ref: WorkloadRef): string {
  return ref.kind === 'docker' ? `container "${ref.name}"` : describeWorkloadRef(ref);
}
