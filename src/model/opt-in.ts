/** The label, or annotation, by which a workload opts in, and what people write when they mean it. Pure. */

/** `enabled`, and what slips of the finger make of it: `enable`, `Enabled`, `enalbed`, `enbled`. */
const MEANT = /\.en[abel]{2,5}d?$/i;

/** Its whole name. */
export function optInLabel(prefix: string): string {
  return `${prefix}.enabled`;
}

/** Whether that label's value opts in: `true`, in upper or lower case, with white space around it or not. */
export function optsIn(value: string | undefined): boolean {
  return value?.trim().toLowerCase() === 'true';
}

/** Whether a name is that label under some prefix, or was meant to be. */
export function endsLikeOptIn(label: string): boolean {
  return MEANT.test(label);
}

/** Those of the labels that are the one that opts in, or were meant to be. */
export function findOptIns(labels: Readonly<Record<string, string>>, prefix: string): readonly string[] {
  const start = `${prefix}.`.toLowerCase();
  return Object.keys(labels).filter((label) => {
    const hasPrefix = label.length < start.length + 10 && label.toLowerCase().startsWith(start);
    return hasPrefix && MEANT.test(label.slice(prefix.length));
  });
}
