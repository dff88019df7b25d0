/**
 * The proxy's own labels, or annotations, under one or several prefixes: which of them opts a workload in, and which holds
 * what the proxy remembers of it. Nobody else joins a prefix and a name, or takes them apart. Pure.
 */

/**
 * What a label may begin with, before the dot; none is another one with a dot and more behind it. Where labels under two
 * of them say the same thing, the first prefix counts, and what the proxy writes itself begins with the first.
 */
export type LabelPrefixes = readonly [string, ...string[]];

/** The proxy's own, and that of lazy-tcp-proxy. */
export const DEFAULT_LABEL_PREFIXES: LabelPrefixes = ['lazy-proxy', 'lazy-tcp-proxy'];

type Labels = Readonly<Record<string, string>>;

const OPT_IN_SUFFIX = 'enabled';
const REPLICAS_SUFFIX = 'replicas';
/** `enabled`, and what slips of the finger make of it: `enable`, `Enabled`, `enalbed`, `enbled`. */
const MEANT = /\.en[abel]{2,5}d?$/i;
/** Of what `MEANT` finds, with the dot. */
const MAX_MEANT_CHARACTERS = 9;
const DOT = 46;

/** A label under one of the prefixes. */
export interface OwnLabel {
  /** Its whole name. */
  readonly label: string;
  /** Behind the prefix and the dot. */
  readonly suffix: string;
  readonly text: string;
  /** The place of its prefix; 0 is the first, which counts. */
  readonly rank: number;
}

/** The labels under the prefixes, in their own order. */
export function listOwnLabels(labels: Labels, prefixes: LabelPrefixes): readonly OwnLabel[] {
  const starts = prefixes.map((prefix) => `${prefix}.`);
  return Object.entries(labels).flatMap(([label, text]): readonly OwnLabel[] => {
    const rank = starts.findIndex((start) => label.startsWith(start));
    if (rank === -1) return [];
    return [{ label, suffix: label.slice(starts[rank]?.length), text, rank }];
  });
}

/** The whole names of the labels that opt in, the first prefix's first. */
export function optInLabels(prefixes: LabelPrefixes): readonly string[] {
  return prefixes.map((prefix) => `${prefix}.${OPT_IN_SUFFIX}`);
}

/** The whole name of the label that opts in, under the prefix of another label. */
export function optInLabelBeside(label: string): string {
  return label.slice(0, label.lastIndexOf('.') + 1) + OPT_IN_SUFFIX;
}

/** Whether a value of that label opts in: `true`, in upper or lower case, with white space around it or not. */
export function optsIn(value: string | undefined): boolean {
  return value?.trim().toLowerCase() === 'true';
}

/** The label that decides whether a workload takes part: that of the first prefix which has one. */
export function decidingOptIn(labels: Labels, prefixes: LabelPrefixes): string | undefined {
  return optInLabels(prefixes).find((label) => Object.hasOwn(labels, label));
}

/** Whether a name is the label that opts in under some prefix, or was meant to be. */
export function endsLikeOptIn(label: string): boolean {
  return MEANT.test(label);
}

/** A label that opts in, or was meant to. */
export interface MeantOptIn {
  readonly label: string;
  /** The whole name that is right. */
  readonly meant: string;
}

/** Those of the labels that opt in under one of the prefixes, whatever they say, or were meant to be such. */
export function findOptIns(labels: Labels, prefixes: LabelPrefixes): readonly MeantOptIn[] {
  const found: MeantOptIn[] = [];
  // A plain loop, because every label of every container is looked at whenever one of these changes.
  for (const label of Object.keys(labels))
    for (const prefix of prefixes)
      if (isMeant(label, prefix)) found.push({ label, meant: `${prefix}.${OPT_IN_SUFFIX}` });
  return found;
}

function isMeant(label: string, prefix: string): boolean {
  const { length } = prefix;
  if (label.charCodeAt(length) !== DOT || label.length > length + MAX_MEANT_CHARACTERS) return false;
  return label.slice(0, length).toLowerCase() === prefix.toLowerCase() && MEANT.test(label.slice(length));
}

/** Whether a name is the label that remembers how many replicas a workload had, under some prefix. */
export function endsLikeReplicas(label: string): boolean {
  return label.endsWith(`.${REPLICAS_SUFFIX}`);
}

/** How many replicas a workload had; 1 where no label says so, or none that makes sense. */
export function recallReplicas(labels: Labels, prefixes: LabelPrefixes): number {
  const texts = replicasLabels(prefixes).map((label) => labels[label] ?? '');
  return Number(texts.find((text) => /^[1-9]\d{0,5}$/.test(text)) ?? 1);
}

/**
 * The labels that have to change so that the replicas are remembered: the first prefix's, and those of other prefixes that
 * are there, so that an earlier version, or the proxy after a change of its prefixes, finds no count that is out of date.
 */
export function rememberReplicas(
  labels: Labels,
  { replicas, prefixes }: { readonly replicas: number; readonly prefixes: LabelPrefixes },
): Labels {
  const count = String(replicas);
  const names = replicasLabels(prefixes).filter((label, rank) => rank === 0 || Object.hasOwn(labels, label));
  return Object.fromEntries(names.filter((label) => labels[label] !== count).map((label) => [label, count]));
}

/** The labels without those by which replicas are remembered. */
export function withoutReplicas(labels: Labels, prefixes: LabelPrefixes): Labels {
  const own = replicasLabels(prefixes);
  if (!own.some((label) => Object.hasOwn(labels, label))) return labels;
  return Object.fromEntries(Object.entries(labels).filter(([label]) => !own.includes(label)));
}

function replicasLabels(prefixes: LabelPrefixes): readonly string[] {
  return prefixes.map((prefix) => `${prefix}.${REPLICAS_SUFFIX}`);
}
