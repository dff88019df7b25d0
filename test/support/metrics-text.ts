/** Reads Prometheus' text format. */
export interface MetricsText {
  /** Of a line; undefined where there is none with exactly these labels. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** Every metric that is described, with its type. */
  readonly types: ReadonlyMap<string, string>;
  readonly help: ReadonlyMap<string, string>;
  readonly samples: readonly MetricLine[];
}

export interface MetricLine {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** @throws where a line is none. */
export function readMetrics(text: string): MetricsText {
  const types = new Map<string, string>();
  const help = new Map<string, string>();
  const samples: MetricLine[] = [];
  const byKey = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, what, described = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (what !== undefined) {
      const known = what === 'HELP' ? help : types;
      if (known.has(described)) throw new Error(`${described} is described twice`);
      known.set(described, rest);
      continue;
    }
    const [, name = '', within = '', value] =
      /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$/.exec(line) ?? [];
    if (value === undefined) throw new Error(`this is no line of a metric: ${line}`);
    const labels = Object.fromEntries(
      [...within.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', quoted = '']) => [
        label,
        quoted.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped)),
      ]),
    );
    const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
    samples.push({ name, labels, value: number });
    if (byKey.has(keyOf(name, labels))) throw new Error(`there are two lines ${line}`);
    byKey.set(keyOf(name, labels), number);
  }
  return { types, help, samples, value: (name, labels = {}) => byKey.get(keyOf(name, labels)) };
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).sort()]);
}
