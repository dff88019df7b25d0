/**
 * Input: the labels of one workload; in Kubernetes, its annotations. Output: the draft they describe, or why they are
 * refused. Guarantees: pure, and no label can break anything but its own workload.
 */

import { findOptIns, optInLabel, optsIn } from '../model/opt-in.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import { boundProblems, formatCount, hasErrors, type Problem } from '../model/problem.ts';
import { formatListenAddress } from '../model/service.ts';
import { describeWorkloadRef, type WorkloadRef } from '../model/workload.ts';
import {
  type Draft,
  FIELD_NAMES,
  type FieldName,
  fieldKeys,
  fieldSpec,
  hasEffect,
  LABEL_SUFFIXES,
  labelSuffix,
} from './fields.ts';
import { createListenClaims } from './rules/listen-claims.ts';
import { faultsOf, type Reading, refuse, showValue } from './values/parsed.ts';
import { countListeners } from './values/ports.ts';
import { formatPath } from './yaml/path.ts';
import { createSuggester } from './values/suggest.ts';
import { describeHostBits, describeUselessness } from './checks/useless-options.ts';

/** Labels of lazy-tcp-proxy that guard a service; ignoring them would open what their owner closed. */
const PROTECTIVE_LABELS: ReadonlySet<string> = new Set(['tls', 'api-key', 'basic-auth']);

/** What of a workload the labels stage looks at. */
export interface WorkloadLabels {
  readonly ref: WorkloadRef;
  readonly labels: Readonly<Record<string, string>>;
  /** When it was made, ms since the epoch; undefined where that isn't known. */
  readonly createdMs?: number | undefined;
  /** True where a label would opt it in that counts as its image's, and those of images don't count. */
  readonly imageOptsIn?: true;
}

/** What the labels of one workload say. */
export interface LabelReading {
  readonly ref: WorkloadRef;
  /** `ignored` = it doesn't opt in; `refused` = a mistake refuses this workload. */
  readonly kind: 'accepted' | 'refused' | 'ignored';
  /** undefined unless accepted. */
  readonly draft: Draft | undefined;
  /** Errors only when refused; warnings otherwise. */
  readonly problems: readonly Problem[];
  /** Of the workload, as `WorkloadLabels` has it. */
  readonly createdMs?: number | undefined;
}

/** Listeners that the labels of one workload can ask for, TCP and UDP together. */
const MAX_LABEL_LISTENERS = 1_024;
/** Entries that one label can list. What labels hold is looked at again whenever another workload changes. */
const MAX_LABEL_ENTRIES = 1_024;
/** Of one label: 1,024 of the longest names. */
const MAX_LABEL_CHARACTERS = 262_144;
const LABEL_FIELDS = FIELD_NAMES.filter((field) => fieldSpec(field).label);
/** Values of `enabled` by which an owner says that the proxy is to leave a workload alone. */
const OFF_WORDS: ReadonlySet<string> = new Set(['false', 'no', 'off', '0', 'n', 'f', 'disabled', '']);

/** Whether the label `<prefix>.enabled` opts in; nothing else does. */
export function isOptedIn(labels: Readonly<Record<string, string>>, prefix: string): boolean {
  return optsIn(labels[optInLabel(prefix)]);
}

/** Reads the labels of a workload; lists are comma-separated, a blank scalar counts as unset. */
export function parseLabels(workload: WorkloadLabels, options: { readonly prefix: string }): LabelReading {
  const reading = readLabels(workload, options);
  const { createdMs } = workload;
  return {
    ...reading,
    problems: boundProblems(reading.problems),
    ...(createdMs !== undefined && { createdMs }),
  };
}

function readLabels(workload: WorkloadLabels, { prefix }: { readonly prefix: string }): LabelReading {
  const { ref, labels } = workload;
  if (!isOptedIn(labels, prefix)) {
    const problems = [...findMissedOptIns(workload, prefix), ...findImageOptIn(workload, prefix)];
    return { ref, kind: 'ignored', draft: undefined, problems };
  }
  const fields: Record<string, unknown> = {};
  const problems: Problem[] = [...findUnknownLabels(workload, prefix)];
  for (const field of LABEL_FIELDS) {
    const reading = readLabelField(field, { workload, prefix });
    if (reading.sourced !== undefined) fields[field] = reading.sourced;
    problems.push(...reading.problems);
  }
  const draft = fields as Draft;
  problems.push(...(findTooManyPorts(draft) ?? findOwnConflicts(draft)));
  return hasErrors(problems)
    ? { ref, kind: 'refused', draft: undefined, problems: problems.map((one) => tellRefusal(one, ref)) }
    : { ref, kind: 'accepted', draft, problems };
}

/** Adds to an error that it refuses the whole workload, so that nobody looks for a listener in vain. */
function tellRefusal(problem: Problem, ref: WorkloadRef): Problem {
  if (problem.severity !== 'error') return problem;
  return {
    ...problem,
    message: `${problem.message}; until then ${describeWorkloadRef(ref)} is refused as a whole`,
  };
}

/** Warns of labels that look like an opt-in and are none; a value such as `off` is no mistake. */
function findMissedOptIns({ ref, labels }: WorkloadLabels, prefix: string): readonly Problem[] {
  const exact = optInLabel(prefix);
  const found = Object.hasOwn(labels, exact) ? [exact] : findOptIns(labels, prefix);
  return found.flatMap((label): readonly Problem[] => {
    const text = labels[label] ?? '';
    const value = text.trim().toLowerCase();
    if (OFF_WORDS.has(value)) return [];
    const origin: Origin = { kind: 'label', workload: ref, label };
    if (label === exact) {
      const message = `${showValue(text)} does not opt in, only "true" does; write "true", or "false" if it is to be left alone`;
      return [{ code: 'invalid-value', severity: 'warning', message, origin }];
    }
    const meant = value === 'true' ? exact : `${exact}=true`;
    const message = `unknown label, so nothing opts in; did you mean "${meant}"?`;
    return [{ code: 'unknown-key', severity: 'warning', message, origin }];
  });
}

/** The engine doesn't tell a label that the container repeats from the image's own. */
function findImageOptIn({ ref, imageOptsIn }: WorkloadLabels, prefix: string): readonly Problem[] {
  if (imageOptsIn !== true) return [];
  const label = optInLabel(prefix);
  const message = `the image has the same label, so it counts as the image's, and docker.image_labels: false leaves those out; name the container in the file, or write "True" here (and each other label otherwise than the image has it)`;
  return [
    {
      code: 'option-without-effect',
      severity: 'warning',
      message,
      origin: { kind: 'label', workload: ref, label },
    },
  ];
}

interface FieldReading {
  readonly sourced: Sourced<unknown> | undefined;
  readonly problems: readonly Problem[];
}

function readLabelField(
  field: FieldName,
  { workload, prefix }: { readonly workload: WorkloadLabels; readonly prefix: string },
): FieldReading {
  const { ref, labels } = workload;
  const labelOf = (key: string) => `${prefix}.${labelSuffix(key)}`;
  const originOf = (key: string): Origin => ({ kind: 'label', workload: ref, label: labelOf(key) });
  const given = fieldKeys(field).filter((key) => isGiven(field, labels[labelOf(key)]));
  // A label without effect gives a warning; it doesn't refuse the workload.
  if (!hasEffect(field, ref.kind)) return describeIneffective(given, { field, ref, originOf });
  let sourced: Sourced<unknown> | undefined;
  const problems: Problem[] = [];
  for (const key of given) {
    const origin = originOf(key);
    const result = readLabel(field, { key, text: labels[labelOf(key)] ?? '', ref });
    if (result.ok) {
      sourced = { value: result.value, origin };
      problems.push(...findLabelHostBits(field, { key, text: labels[labelOf(key)] ?? '', origin }));
    } else {
      problems.push(
        ...faultsOf(result).map(({ code, path, message }): Problem => {
          const place = formatPath([labelSuffix(key), ...path]);
          return { code, severity: 'error', message: `${place}: ${message}`, origin };
        }),
      );
    }
  }
  const [first, second] = given;
  if (first !== undefined && second !== undefined) {
    const message = `${labelSuffix(second)}: given beside ${labelSuffix(first)}; keep one of them`;
    problems.push({ code: 'exclusive-keys', severity: 'error', message, origin: originOf(second) });
  }
  return { sourced, problems };
}

function findLabelHostBits(
  field: FieldName,
  { key, text, origin }: { readonly key: string; readonly text: string; readonly origin: Origin },
): readonly Problem[] {
  if (field !== 'allow_list' && field !== 'block_list') return [];
  return text.split(',').flatMap((item): readonly Problem[] => {
    const message = describeHostBits(item.trim());
    if (message === undefined) return [];
    return [
      { code: 'invalid-address', severity: 'warning', message: `${labelSuffix(key)}: ${message}`, origin },
    ];
  });
}

function describeIneffective(
  given: readonly string[],
  {
    field,
    ref,
    originOf,
  }: { readonly field: FieldName; readonly ref: WorkloadRef; readonly originOf: (key: string) => Origin },
): FieldReading {
  const problems = given.map((key): Problem => {
    const message = `${labelSuffix(key)}: ${describeUselessness(field, ref)}`;
    return { code: 'option-without-effect', severity: 'warning', message, origin: originOf(key) };
  });
  return { sourced: undefined, problems };
}

/** A blank list is given: it is an empty list, which beats lower layers. A blank single value counts as unset. */
function isGiven(field: FieldName, text: string | undefined): boolean {
  return text !== undefined && (fieldSpec(field).isList === true || text.trim() !== '');
}

function readLabel(
  field: FieldName,
  { key, text, ref }: { readonly key: string; readonly text: string; readonly ref: WorkloadRef },
): Reading<unknown> {
  if (text.length > MAX_LABEL_CHARACTERS) {
    const most = formatCount(MAX_LABEL_CHARACTERS);
    return refuse('invalid-value', `${formatCount(text.length)} characters, and a label can have ${most}`);
  }
  const trimmed = text.trim();
  const { isList, isNumber, parse, parseSecs } = fieldSpec(field);
  const context = { portNames: ref.kind === 'kubernetes' };
  if (key !== field && parseSecs !== undefined) return parseSecs(trimmed);
  if (isNumber) return parse(/^\d{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed, context);
  if (!isList) return parse(trimmed, context);
  const items = trimmed
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  // Ports are counted before ranges become listeners: a short text can stand for more ports than there is memory for.
  const ports = field === 'ports' || field === 'udp_ports' ? countListeners(items) : 0;
  if (ports > MAX_LABEL_LISTENERS) return refuse('invalid-port', describeTooMany(ports));
  if (items.length > MAX_LABEL_ENTRIES) {
    const most = formatCount(MAX_LABEL_ENTRIES);
    const message = `${formatCount(items.length)} entries, and a label can have ${most}; a service of the file may have more`;
    return refuse('invalid-value', message);
  }
  return parse(items, context);
}

function findUnknownLabels({ ref, labels }: WorkloadLabels, prefix: string): readonly Problem[] {
  const known = [...LABEL_SUFFIXES, 'enabled'];
  const suggest = createSuggester(known);
  return Object.keys(labels).flatMap((label): readonly Problem[] => {
    if (!label.startsWith(`${prefix}.`)) return [];
    const suffix = label.slice(prefix.length + 1);
    if (known.includes(suffix)) return [];
    const origin: Origin = { kind: 'label', workload: ref, label };
    if (PROTECTIVE_LABELS.has(suffix)) {
      const message = `${suffix} is not supported, and without it the service would be open; remove the label if it may be`;
      return [{ code: 'unknown-key', severity: 'error', message, origin }];
    }
    const message = `unknown label, ignored${suggest(suffix)}`;
    return [{ code: 'unknown-key', severity: 'warning', message, origin }];
  });
}

/** Each listener takes a descriptor, so one label must not take those that other services need. */
function findTooManyPorts({ ports, udp_ports }: Draft): readonly Problem[] | undefined {
  const count = (ports?.value.length ?? 0) + (udp_ports?.value.length ?? 0);
  const origin = (ports ?? udp_ports)?.origin;
  if (count <= MAX_LABEL_LISTENERS || origin === undefined) return undefined;
  return [{ code: 'invalid-port', severity: 'error', message: describeTooMany(count), origin }];
}

function describeTooMany(count: number): string {
  const most = formatCount(MAX_LABEL_LISTENERS);
  return `${formatCount(count)} ports are asked for, and labels can have ${most} for one workload; a service of the file may have more`;
}

function findOwnConflicts(draft: Draft): readonly Problem[] {
  const claims = createListenClaims<true>();
  return [draft.ports, draft.udp_ports].flatMap((ports): readonly Problem[] => {
    const twice = ports?.value.find((listener) => claims.claim(listener, true));
    if (ports === undefined || twice === undefined) return [];
    const message = `${twice.protocol} ${formatListenAddress(twice)} is given twice`;
    return [{ code: 'listen-conflict', severity: 'error', message, origin: ports.origin }];
  });
}
