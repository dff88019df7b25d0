/** Every block of YAML or JSON that people may paste is what it looks like, and without a mistake. */
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { createFileParser } from '../src/config/file.ts';
import { parseLabels } from '../src/config/labels.ts';
import { settingKeys } from '../src/config/settings.ts';
import { DEFAULT_LABEL_PREFIXES } from '../src/model/label-names.ts';
import { formatProblem } from '../src/model/problem.ts';
import type { WorkloadRef } from '../src/model/workload.ts';
import { type CodeBlock, codeBlocksOf, PAGES } from './support/documentation.ts';

/** The image of the proxy, as the documentation builds it. */
const IMAGE = 'lazy-proxy';
const CONFIG_KEYS = new Set(['services', 'defaults', ...settingKeys('')]);
const COMPOSE_KEYS = new Set(['services', 'name', 'networks', 'volumes', 'secrets', 'configs']);
const WORKLOAD_KINDS = new Map([
  ['Deployment', 'deployment'],
  ['StatefulSet', 'statefulset'],
] as const);

type Mapping = Readonly<Record<string, unknown>>;
interface ComposeService extends Mapping {
  readonly image?: string;
  readonly build?: unknown;
  readonly labels?: Readonly<Record<string, unknown>> | readonly string[];
  readonly deploy?: { readonly labels?: ComposeService['labels'] };
  readonly ports?: readonly string[];
  readonly network_mode?: string;
}

const parse = createFileParser();
const blocks = PAGES.flatMap((page) =>
  codeBlocksOf(page).filter(({ language }) => ['yaml', 'yml'].includes(language)),
);
const kinds = blocks.map((block) => ({ block, ...classify(block) }));

/** What a block is, by its keys; a fragment is nothing that could be pasted. */
function classify({ text, place }: CodeBlock): {
  readonly kind: 'compose' | 'config' | 'manifests';
  readonly documents: readonly Mapping[];
} {
  const parsed = parseAllDocuments(text);
  if (!Array.isArray(parsed)) throw new Error(`${place}: the block is empty`);
  const mistakes = parsed.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
  if (mistakes.length > 0) throw new Error(`${place}: ${mistakes[0]?.message}`);
  const documents = parsed.map((document) => document.toJS() as Mapping);
  const [first = {}] = documents;
  const keys = Object.keys(first);
  const isOf = (known: ReadonlySet<string>) => keys.every((key) => known.has(key) || key.startsWith('x-'));
  if (documents.every((document) => 'apiVersion' in document)) return { kind: 'manifests', documents };
  const services = Object.values((first['services'] ?? {}) as Readonly<Record<string, ComposeService>>);
  if (isOf(COMPOSE_KEYS) && services.some((service) => 'image' in service || 'build' in service))
    return { kind: 'compose', documents };
  if (isOf(CONFIG_KEYS)) return { kind: 'config', documents };
  throw new Error(`${place}: neither a configuration nor a Compose file nor manifests: ${keys.join(', ')}`);
}

function ofKind(kind: (typeof kinds)[number]['kind']) {
  return kinds.filter((one) => one.kind === kind).map(({ block, documents }) => ({ ...block, documents }));
}

/** What is wrong with labels; nothing where there are none of ours. */
function mistakesIn(ref: WorkloadRef, labels: ComposeService['labels'] | Mapping): readonly string[] {
  const written = Object.entries(toTexts(labels));
  // Compose makes one of two dollar signs.
  const isCompose = ref.kind !== 'kubernetes';
  const texts = Object.fromEntries(
    written.map(([label, text]) => [label, isCompose ? text.replaceAll('$$', '$') : text]),
  );
  const isOurs = (label: string) => DEFAULT_LABEL_PREFIXES.some((prefix) => label.startsWith(`${prefix}.`));
  if (!Object.keys(texts).some(isOurs)) return [];
  const { kind, problems } = parseLabels({ ref, labels: texts }, { prefixes: DEFAULT_LABEL_PREFIXES });
  return [...problems.map(formatProblem), ...(kind === 'accepted' ? [] : [`${ref.name} is ${kind}`])];
}

/** As Compose gives them to the engine: `key=value` in a list, strings in a mapping. */
function toTexts(labels: ComposeService['labels'] | Mapping = {}): Readonly<Record<string, string>> {
  const entries = Array.isArray(labels)
    ? (labels as readonly string[]).map((line) => {
        const [label = '', ...value] = line.split('=');
        return [label, value.join('=')] as const;
      })
    : Object.entries(labels);
  for (const [label, text] of entries) expect(typeof text, `${label} is quoted`).toBe('string');
  return Object.fromEntries(entries) as Record<string, string>;
}

describe('YAML in the documentation', () => {
  test('is there', () => {
    const counts = Object.fromEntries(
      ['config', 'compose', 'manifests'].map((kind) => [
        kind,
        kinds.filter((one) => one.kind === kind).length,
      ]),
    );
    expect(counts).toEqual({
      config: expect.toSatisfy((count: number) => count > 10),
      compose: expect.toSatisfy((count: number) => count > 3),
      manifests: expect.toSatisfy((count: number) => count > 0),
    });
  });

  test.each(ofKind('config'))(
    'is a configuration without a mistake or warning at $place',
    ({ text, place }) => {
      expect(parse({ text, file: place }).problems.map(formatProblem)).toEqual([]);
    },
  );

  test.each(ofKind('compose'))(
    'has labels that are accepted in the Compose file at $place',
    ({ documents }) => {
      const services = documents[0]?.['services'] as Readonly<Record<string, ComposeService>>;
      for (const [name, { labels, deploy }] of Object.entries(services)) {
        expect(mistakesIn({ kind: 'docker', name }, labels)).toEqual([]);
        expect(mistakesIn({ kind: 'swarm', name }, deploy?.labels)).toEqual([]);
      }
    },
  );

  test.each(ofKind('compose'))(
    'publishes what labels listen on in the Compose file at $place',
    ({ documents }) => {
      const services = Object.values(documents[0]?.['services'] as Readonly<Record<string, ComposeService>>);
      const proxy = services.find(({ image }) => image === IMAGE);
      if (proxy === undefined || proxy.network_mode === 'host') return;
      const published = (proxy.ports ?? []).map((port) => port.split('/')[0]?.split(':').at(-1));
      const listened = services.flatMap(({ labels, deploy }) =>
        Object.entries({ ...toTexts(labels), ...toTexts(deploy?.labels) }).flatMap(([label, value]) =>
          /\.(udp-)?ports$/.test(label) ? value.split(',').map((port) => port.trim().split(':').at(-2)) : [],
        ),
      );
      expect(published).toEqual(expect.arrayContaining(listened));
    },
  );

  test.each(ofKind('manifests'))(
    'has annotations that are accepted in the manifests at $place',
    ({ documents }) => {
      for (const document of documents) {
        const { name, annotations, labels } = document['metadata'] as {
          readonly name: string;
          readonly annotations?: Mapping;
          readonly labels?: Mapping;
        };
        expect(name).toMatch(/^[a-z0-9-]+$/);
        const resource = WORKLOAD_KINDS.get(document['kind'] as 'Deployment');
        if (resource === undefined) continue;
        const ref: WorkloadRef = { kind: 'kubernetes', resource, namespace: 'default', name };
        expect(mistakesIn(ref, { ...labels, ...annotations })).toEqual([]);
      }
    },
  );
});

test.each(PAGES.flatMap((page) => codeBlocksOf(page).filter(({ language }) => language === 'json')))(
  'JSON in the documentation is without a mistake at $place',
  ({ text }) => {
    expect(() => JSON.parse(text)).not.toThrow();
  },
);
