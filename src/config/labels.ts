/**
 * Input: the labels of one workload, in Kubernetes its annotations, under one prefix or several. Output: the draft they
 * describe, or why they are refused. Guarantees: pure, and no label can break anything but its own workload. Where labels
 * under two prefixes give the same field, the first prefix counts, and a warning tells of the other label.
 */

import {
  decidingOptIn,
  findOptIns,
  type LabelPrefixes,
  listOwnLabels,
  optInLabels,
  optsIn,
  type OwnLabel,
} from '../model/label-names.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import { boundProblems, formatCount, hasErrors, type Problem } from '../model/problem.ts';
import { formatListenAddress } from '../model/service.ts';
import { describeWorkloadRef, type WorkloadRef } from '../model/workload.ts';
import {
  type Draft,
  FIELD_NAMES,
  type FieldName,
  fieldSpec,
  hasEffect,
  labelKeys,
  LABEL_SUFFIXES,
  labelSuffix,
  PORT_FIELDS,
} from './fields.ts';
import { createListenClaims } from './rules/listen-claims.ts';
import { describeUnguarded, findUnguardedPart } from './rules/login.ts';
import { faultsOf, type Reading, refuse, showValue } from './values/parsed.ts';
import { countListeners } from './values/ports.ts';
import { formatPath } from './yaml/path.ts';
import { SETTINGS } from './settings.ts';
import { findOurName } from './values/other-names.ts';
import { createSuggester, type Suggest } from './values/suggest.ts';
import { V1_IS_FOR_TCP } from './checks/check-proxies.ts';
import { describeHostBits, describeUselessness } from './checks/useless-options.ts';

/** What of a workload the labels stage looks at. */
export interface WorkloadLabels {
  readonly ref: WorkloadRef;
  readonly labels: Readonly<Record<string, string>>;
  /** When it was made, ms since the epoch; undefined where that isn't known. */
  readonly createdMs?: number | undefined;
  /** The label that would opt it in, where that counts as its image's, and those of images don't count. */
  readonly imageOptIn?: string;
}

/** What the labels of one workload say. */
export interface LabelReading {
  readonly ref: WorkloadRef;
  /** `ignored` = it doesn't opt in; `refused` = a mistake refuses this workload. */
  readonly kind: 'accepted' | 'refused' | 'ignored';
  /** undefined unless accepted. */
  readonly draft: Draft | undefined;
  /** The label that opts in; absent unless accepted. */
  readonly optIn?: Origin;
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
/** What each field's labels are called, without prefix; prepared once, because each workload needs it. */
const LABEL_FIELDS = FIELD_NAMES.filter((field) => fieldSpec(field).label).map((field) => {
  return { field, keys: labelKeys(field).map((key) => ({ key, suffix: labelSuffix(key) })) };
});
const PORT_SUFFIXES = PORT_FIELDS.flatMap(({ field }) => labelKeys(field).map(labelSuffix));
/** Words that say no. */
const OFF_WORDS: ReadonlySet<string> = new Set(['false', 'no', 'off', '0', 'n', 'f', 'disabled', '']);
const KNOWN_SUFFIXES: ReadonlySet<string> = new Set([...LABEL_SUFFIXES, 'enabled']);

/**
 * Reads the labels of a workload; lists are comma-separated, a blank scalar counts as unset. It takes part where
 * `<prefix>.enabled` says so under the first prefix that has that label.
 */
export function parseLabels(
  workload: WorkloadLabels,
  options: { readonly prefixes: LabelPrefixes },
): LabelReading {
  const reading = readLabels(workload, options);
  const { createdMs } = workload;
  return {
    ...reading,
    problems: boundProblems(reading.problems),
    ...(createdMs !== undefined && { createdMs }),
  };
}

function readLabels(
  workload: WorkloadLabels,
  { prefixes }: { readonly prefixes: LabelPrefixes },
): LabelReading {
  const { ref, labels } = workload;
  const optIn = decidingOptIn(labels, prefixes);
  const overruled = optIn === undefined ? [] : findOverruledOptIns(optIn, { workload, prefixes });
  if (optIn === undefined || !optsIn(labels[optIn])) {
    const problems = [
      ...findMissedOptIns(optIn, { workload, prefixes }),
      ...overruled,
      ...findImageOptIn(workload),
    ];
    return { ref, kind: 'ignored', draft: undefined, problems };
  }
  const own = listOwnLabels(labels, prefixes);
  const bySuffix = new Map<string, readonly OwnLabel[]>();
  for (const one of own) bySuffix.set(one.suffix, [...(bySuffix.get(one.suffix) ?? []), one]);
  const fields: Record<string, unknown> = {};
  const problems: Problem[] = [...overruled, ...findUnknownLabels(own, ref)];
  for (const { field, keys } of LABEL_FIELDS) {
    const given = keys.flatMap(({ key, suffix }): readonly GivenLabel[] => {
      const labels = (bySuffix.get(suffix) ?? []).filter(({ text }) => isGiven(field, text));
      return labels.map((one) => ({
        ...{ ...one, key },
        origin: { kind: 'label', workload: ref, label: one.label },
      }));
    });
    if (given.length === 0) continue;
    const reading = readLabelField(field, { ref, all: given });
    if (reading.sourced !== undefined) fields[field] = reading.sourced;
    problems.push(...reading.problems);
  }
  const draft = fields as Draft;
  problems.push(...(findTooManyPorts(draft) ?? findOwnConflicts(draft)));
  problems.push(...findUnguarded(draft), ...findUdpByV1(draft));
  return hasErrors(problems)
    ? { ref, kind: 'refused', draft: undefined, problems: problems.map((one) => tellRefusal(one, ref)) }
    : { ref, kind: 'accepted', draft, optIn: { kind: 'label', workload: ref, label: optIn }, problems };
}

/** Adds to an error that it refuses the whole workload, so that nobody looks for a listener in vain. */
function tellRefusal(problem: Problem, ref: WorkloadRef): Problem {
  if (problem.severity !== 'error') return problem;
  return {
    ...problem,
    message: `${problem.message}; until then ${describeWorkloadRef(ref)} is refused as a whole`,
  };
}

interface OptInLabels {
  readonly workload: WorkloadLabels;
  readonly prefixes: LabelPrefixes;
}

/**
 * Warns of labels that look like an opt-in and are none, and of ports where nothing looks like one; a value such as `off` is no
 * mistake.
 */
function findMissedOptIns(
  optIn: string | undefined,
  { workload: { ref, labels }, prefixes }: OptInLabels,
): readonly Problem[] {
  const found = optIn === undefined ? findOptIns(labels, prefixes) : [{ label: optIn, meant: optIn }];
  if (found.length === 0) return findPortsInVain({ workload: { ref, labels }, prefixes });
  return found.flatMap(({ label, meant }): readonly Problem[] => {
    const text = labels[label] ?? '';
    const value = text.trim().toLowerCase();
    if (OFF_WORDS.has(value)) return [];
    const origin: Origin = { kind: 'label', workload: ref, label };
    if (label === meant) {
      const message = `${showValue(text)} does not opt in, only "true" does; write "true", or "false" if it is to be left alone`;
      return [{ code: 'invalid-value', severity: 'warning', message, origin }];
    }
    const right = value === 'true' ? meant : `${meant}=true`;
    const message = `unknown label, so nothing opts in; did you mean "${right}"?`;
    return [{ code: 'unknown-key', severity: 'warning', message, origin }];
  });
}

/** Warns of a label that asks for ports where no label says whether the workload takes part: that one was forgotten. */
function findPortsInVain({ workload: { ref, labels }, prefixes }: OptInLabels): readonly Problem[] {
  for (const prefix of prefixes) {
    const label = PORT_SUFFIXES.map((suffix) => `${prefix}.${suffix}`).find((name) => labels[name]?.trim());
    if (label === undefined) continue;
    const message = `has no effect without ${prefix}.enabled=true; add that, or ${prefix}.enabled=false if it is to be left alone`;
    const origin: Origin = { kind: 'label', workload: ref, label };
    return [{ code: 'option-without-effect', severity: 'warning', message, origin }];
  }
  return [];
}

/** Warns of labels that opt in or out otherwise than the one that decides. */
function findOverruledOptIns(
  optIn: string,
  { workload: { ref, labels }, prefixes }: OptInLabels,
): readonly Problem[] {
  const decided = labels[optIn] ?? '';
  return optInLabels(prefixes)
    .filter((label) => Object.hasOwn(labels, label) && optsIn(labels[label]) !== optsIn(decided))
    .map((label) => {
      const value = showValue(labels[label]);
      const message = `${value} has no effect beside ${optIn}, which is ${showValue(decided)} and whose prefix comes first; keep one of them`;
      const origin: Origin = { kind: 'label', workload: ref, label };
      return { code: 'option-without-effect', severity: 'warning', message, origin };
    });
}

/** The engine doesn't tell a label that the container repeats from the image's own. */
function findImageOptIn({ ref, imageOptIn: label }: WorkloadLabels): readonly Problem[] {
  if (label === undefined) return [];
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

/** A label that gives a field, with the field's key that it spells. */
interface GivenLabel extends OwnLabel {
  readonly key: string;
  readonly origin: Origin;
}

/** @param options.all every label that gives the field, under whatever prefix. */
function readLabelField(
  field: FieldName,
  { ref, all }: { readonly ref: WorkloadRef; readonly all: readonly GivenLabel[] },
): FieldReading {
  // A label without effect gives a warning; it doesn't refuse the workload.
  if (!hasEffect(field, ref.kind)) return describeIneffective(all, { field, ref });
  const firstRank = Math.min(...all.map(({ rank }) => rank));
  const given = all.filter(({ rank }) => rank === firstRank);
  let sourced: Sourced<unknown> | undefined;
  const problems: Problem[] = [];
  for (const { key, text, origin } of given) {
    const result = readLabel(field, { key, text, ref });
    const unwrapped = result.ok ? undefined : findUnwrapped(field, { key, text, ref });
    if (unwrapped !== undefined) {
      const shown = fieldSpec(field).secret === undefined ? `: write ${unwrapped}` : '';
      const message = `${labelSuffix(key)}: a label has no quotes and brackets${shown}`;
      problems.push({ code: 'invalid-value', severity: 'error', message, origin });
    } else if (result.ok) {
      sourced = { value: result.value, origin };
      problems.push(...findLabelHostBits(field, { key, text, origin }));
    } else {
      problems.push(
        ...faultsOf(result).map(({ code, path, message }): Problem => {
          // The part is in the label's own name.
          const rest = fieldSpec(field).labelParts === undefined ? path : path.slice(1);
          const place = formatPath([labelSuffix(key), ...rest]);
          return { code, severity: 'error', message: `${place}: ${message}`, origin };
        }),
      );
    }
  }
  const [first, second] = given;
  if (first === undefined) return { sourced, problems };
  if (second !== undefined) {
    const message = `${second.suffix}: given beside ${first.suffix}; keep one of them`;
    problems.push({ code: 'exclusive-keys', severity: 'error', message, origin: second.origin });
  }
  for (const { suffix, origin } of all.filter(({ rank }) => rank !== firstRank)) {
    const message = `${suffix}: has no effect beside ${first.label}, whose prefix comes first; keep one of them`;
    problems.push({ code: 'option-without-effect', severity: 'warning', message, origin });
  }
  return { sourced, problems };
}

/** What a label that can't be read says without the quotes and brackets of YAML or JSON; undefined where that can't be read either. */
function findUnwrapped(
  field: FieldName,
  { key, text, ref }: { readonly key: string; readonly text: string; readonly ref: WorkloadRef },
): string | undefined {
  // Of a command, brackets are right: they make it a list.
  if (fieldSpec(field).labelParts !== undefined && text.trim().startsWith('[')) return undefined;
  const bare = text.trim().replace(/^\[(.*)\]$/s, '$1');
  const items = bare.split(',').map((item) => item.trim().replace(/^(["'])(.*)\1$/s, '$2'));
  const unwrapped = items.join(', ');
  if (unwrapped === '' || unwrapped === text.trim()) return undefined;
  return readLabel(field, { key, text: unwrapped, ref }).ok ? unwrapped : undefined;
}

function findLabelHostBits(
  field: FieldName,
  { key, text, origin }: { readonly key: string; readonly text: string; readonly origin: Origin },
): readonly Problem[] {
  if (field !== 'allow_list' && field !== 'block_list' && field !== 'wake_list') return [];
  return text.split(',').flatMap((item): readonly Problem[] => {
    const message = describeHostBits(item.trim());
    if (message === undefined) return [];
    return [
      { code: 'invalid-address', severity: 'warning', message: `${labelSuffix(key)}: ${message}`, origin },
    ];
  });
}

function describeIneffective(
  given: readonly GivenLabel[],
  { field, ref }: { readonly field: FieldName; readonly ref: WorkloadRef },
): FieldReading {
  const problems = given.map(({ suffix, origin }): Problem => {
    const message = `${suffix}: ${describeUselessness(field, ref)}`;
    return { code: 'option-without-effect', severity: 'warning', message, origin };
  });
  return { sourced: undefined, problems };
}

/** A blank list is given: it is an empty list, which beats lower layers. A blank single value counts as unset. */
function isGiven(field: FieldName, text: string): boolean {
  return fieldSpec(field).isList === true || text.trim() !== '';
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
  const { isList, isNumber, isFlag, labelParts, parse, parseSecs } = fieldSpec(field);
  const context = { portNames: ref.kind === 'kubernetes', ofLabel: true };
  if (key !== field && parseSecs !== undefined) return parseSecs(trimmed);
  if (labelParts !== undefined) return parse({ [key.slice(field.length + 1)]: trimmed }, context);
  if (isNumber) return parse(/^\d{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed, context);
  if (isFlag) return parse(readFlag(trimmed), context);
  if (!isList) return parse(trimmed, context);
  const items = trimmed
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  // Ports are counted before ranges become listeners: a short text can stand for more ports than there is memory for.
  const ports = PORT_FIELDS.some((one) => one.field === field) ? countListeners(items) : 0;
  if (ports > MAX_LABEL_LISTENERS) return refuse('invalid-port', describeTooMany(ports));
  if (items.length > MAX_LABEL_ENTRIES) {
    const most = formatCount(MAX_LABEL_ENTRIES);
    const message = `${formatCount(items.length)} entries, and a label can have ${most}; a service of the file may have more`;
    return refuse('invalid-value', message);
  }
  return parse(items, context);
}

/** A word that says no, also one of those that YAML 1.1 knows; what is neither yes nor no stays as it is. */
function readFlag(text: string): unknown {
  const word = text.toLowerCase();
  return word === 'true' ? true : OFF_WORDS.has(word) ? false : text;
}

function findUnknownLabels(own: readonly OwnLabel[], ref: WorkloadRef): readonly Problem[] {
  const unknown = own.filter(({ suffix }) => !KNOWN_SUFFIXES.has(suffix));
  if (unknown.length === 0) return [];
  const suggest = createSuggester([...KNOWN_SUFFIXES]);
  return unknown.map(({ label, suffix }): Problem => {
    const origin: Origin = { kind: 'label', workload: ref, label };
    const message = `unknown label, ignored${hintAtLabel(suffix, suggest)}`;
    return { code: 'unknown-key', severity: 'warning', message, origin };
  });
}

const LABEL_FIELD_NAMES: readonly string[] = LABEL_FIELDS.map(({ field }) => field);

function hintAtLabel(suffix: string, suggest: Suggest): string {
  const filesOwn = describeFilesOwn(suffix);
  if (filesOwn !== undefined) return `; ${filesOwn}`;
  const key = suffix.replaceAll('-', '_');
  const field = LABEL_FIELD_NAMES.includes(key) ? key : findOurName(suffix, LABEL_FIELD_NAMES);
  if (field === undefined) return suggest(suffix);
  // One of these is the field itself, unless it has a label for each of its parts.
  const names = labelKeys(field as FieldName).map(labelSuffix);
  return `; did you mean ${names
    .filter((name) => !name.endsWith('-secs'))
    .map((name) => `"${name}"`)
    .join(' or ')}?`;
}

/** Of what the file can set, and no label; undefined of anything else. */
function describeFilesOwn(suffix: string): string | undefined {
  const key = suffix.replaceAll('-', '_');
  const isField = (FIELD_NAMES as readonly string[]).includes(key) && !LABEL_FIELD_NAMES.includes(key);
  if (isField) return `no label can set ${key}; a service in the file can`;
  const setting = Object.keys(SETTINGS).find((name) => name === key || name.endsWith(`.${key}`));
  return setting && `no label can set ${setting}, which is for the whole proxy; the file can`;
}

/** Each listener takes a descriptor, so one label must not take those that other services need. */
function findTooManyPorts(draft: Draft): readonly Problem[] | undefined {
  const given = PORT_FIELDS.flatMap(({ field }) => draft[field] ?? []);
  const count = given.reduce((sum, { value }) => sum + value.length, 0);
  const origin = given[0]?.origin;
  if (count <= MAX_LABEL_LISTENERS || origin === undefined) return undefined;
  return [{ code: 'invalid-port', severity: 'error', message: describeTooMany(count), origin }];
}

function describeTooMany(count: number): string {
  const most = formatCount(MAX_LABEL_LISTENERS);
  return `${formatCount(count)} ports are asked for, and labels can have ${most} for one workload; a service of the file may have more`;
}

function findUdpByV1({ proxy_protocol: version, udp_ports }: Draft): readonly Problem[] {
  if (version?.value !== 'v1' || (udp_ports?.value ?? []).length === 0) return [];
  const message = `${labelSuffix('proxy_protocol')}: ${V1_IS_FOR_TCP}`;
  return [{ code: 'exclusive-keys', severity: 'error', message, origin: version.origin }];
}

function findOwnConflicts(draft: Draft): readonly Problem[] {
  const claims = createListenClaims<true>();
  return PORT_FIELDS.flatMap(({ field }): readonly Problem[] => {
    const ports = draft[field];
    const twice = ports?.value.find((listener) => claims.claim(listener, true));
    if (ports === undefined || twice === undefined) return [];
    const message = `${twice.protocol} ${formatListenAddress(twice)} is given twice`;
    return [{ code: 'listen-conflict', severity: 'error', message, origin: ports.origin }];
  });
}

/** A login that would guard only a part of what the labels open. */
function findUnguarded(draft: Draft): readonly Problem[] {
  const found = findUnguardedPart((field) => draft[field]?.value);
  const origin = found && draft[found.login]?.origin;
  if (found === undefined || origin === undefined) return [];
  const message = `${labelSuffix(found.login)}: ${describeUnguarded(found, labelSuffix)}`;
  return [{ code: 'exclusive-keys', severity: 'error', message, origin }];
}
