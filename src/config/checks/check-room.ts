import type { RoomLimits } from '../../model/settings.ts';
import type { ReadService } from '../read/read-services.ts';
import { createDependantResolver, createMainNames } from '../rules/dependants.ts';
import { explainUnknownGroup, findMisfits } from '../rules/room.ts';
import { describeTooLittle } from '../values/memory-size.ts';
import { createSuggester } from '../values/suggest.ts';
import type { Path } from '../yaml/path.ts';
import { type Finding, valueError, warning } from './finding.ts';

/** Finds services for which there is never room, and groups that don't exist. */
export function checkRoom(services: readonly ReadService[], limits: RoomLimits): readonly Finding[] {
  return [
    ...findTooLittle(services, limits),
    ...findUnknownGroups(services, limits),
    ...findServicesWithoutRoom(services, limits),
  ];
}

function findTooLittle(services: readonly ReadService[], { memoryBytes }: RoomLimits): readonly Finding[] {
  const given = [
    ...(memoryBytes === undefined ? [] : [{ path: ['limits', 'memory'], bytes: memoryBytes }]),
    ...services.flatMap(({ path, draft: { memory } }) =>
      memory === undefined ? [] : [{ path: [...path, 'memory'], bytes: memory.value }],
    ),
  ];
  return given.flatMap(({ path, bytes }) => {
    const message = describeTooLittle(bytes);
    return message === undefined ? [] : [warning(path, { code: 'invalid-value', at: 'value', message })];
  });
}

function findUnknownGroups(services: readonly ReadService[], limits: RoomLimits): readonly Finding[] {
  const suggest = createSuggester(Object.keys(limits.groups));
  return services.flatMap(({ draft: { group }, path }) => {
    const why = group && explainUnknownGroup(group.value, limits);
    if (group === undefined || why === undefined) return [];
    const nearest = suggest(group.value);
    const message = `"${group.value}" ${nearest === '' ? why : `is no group${nearest}`}`;
    return [valueError([...path, 'group'], 'invalid-value', message)];
  });
}

function findServicesWithoutRoom(services: readonly ReadService[], limits: RoomLimits): readonly Finding[] {
  const resolve = createDependantResolver(services);
  const mainOf = createMainNames(services);
  const claims = services.map(({ name, ref, draft }) => {
    const { dependants, depends_on: needs, group, memory } = draft;
    const named = needs === undefined || needs.value === 'compose' ? [] : needs.value.map((one) => one.name);
    const links = [...(dependants?.value ?? []), ...named].map((text) => mainOf(resolve(text, ref) ?? text));
    return { name, links, group: group?.value, memoryBytes: memory?.value };
  });
  const byName = new Map(services.map((service) => [service.name, service]));
  return findMisfits(claims, limits).map(({ name, of, message }) => {
    const { path = [], draft } = byName.get(name) ?? {};
    const place: Path = [
      ...path,
      of === 'memory' ? 'memory' : draft?.depends_on ? 'depends_on' : 'dependants',
    ];
    return valueError(place, 'invalid-value', message);
  });
}
