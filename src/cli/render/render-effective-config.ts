import { Document, isMap, isPair, isScalar, isSeq, type Node, Scalar, visit, type YAMLMap } from 'yaml';
import type { ResolvedSettings } from '../../config/resolve-settings.ts';
import { listSettings, SETTING_NAMES, SETTINGS, type SettingSpec } from '../../config/settings.ts';
import { FIELD_NAMES, type FieldName, fieldSpec, showField } from '../../config/fields.ts';
import { escapeJson, escapeText, escapeYaml, isUnsafe } from '../../model/text/escape-text.ts';
import { describeOrigin, type Origin } from '../../model/origin.ts';
import type { Service } from '../../model/service.ts';
import type { ServiceTable, TableEntry } from '../../model/table.ts';

export interface RenderOptions {
  readonly format: 'yaml' | 'json';
  /** Adds to each value a comment that says where it was written; JSON has no comments and stays as it is. */
  readonly showOrigin: boolean;
  /** Without it, `***` stands in the place of what FIELDS and SETTINGS mark as secret, and is refused when read back. */
  readonly showSecrets: boolean;
}

/** The fields that name the workload come first. */
const PRINTED_FIELDS = FIELD_NAMES.toSorted((a, b) => Number(isOfWorkload(b)) - Number(isOfWorkload(a)));

/**
 * The table and settings as a configuration file that, with its secrets, gives the same table again, whatever labels and environment say:
 * every field is explicit, and `ignore_labels` is true because what the labels said is in it. Left out is what can't be
 * written as a value: an unset stop_timeout, cron_start, cron_stop or cwd. What a terminal must not get is written as escapes
 * that are read back. Ends in a line feed.
 */
export function renderEffectiveConfig(
  table: ServiceTable,
  settings: ResolvedSettings,
  options: RenderOptions,
): string {
  const entries = [...table.entries.values()];
  const content = {
    ...describeSettings(settings, options),
    services: Object.fromEntries(
      entries.map(({ service }) => [service.name, describeService(service, options)]),
    ),
  };
  if (options.format === 'json') return `${escapeJson(JSON.stringify(content, undefined, 2))}\n`;
  const doc = new Document(content, { aliasDuplicateObjects: false });
  setFlowStyle(doc);
  if (options.showOrigin) commentOrigins(doc, { entries, settings });
  quoteUnsafe(doc);
  return escapeYaml(doc.toString({ lineWidth: 0 }));
}

type Secrecy = Pick<RenderOptions, 'showSecrets'>;

function describeSettings(
  { settings }: ResolvedSettings,
  secrecy: Secrecy,
): Readonly<Record<string, unknown>> {
  const content: Record<string, unknown> = {};
  for (const { name, value } of listSettings(settings, secrecy)) {
    const [first = '', second] = name.split('.');
    content[first] = second === undefined ? value : { ...(content[first] as object), [second]: value };
  }
  return content;
}

function isOfWorkload(field: FieldName): boolean {
  return fieldSpec(field).kinds?.length === 1;
}

function describeService(service: Service, secrecy: Secrecy): Readonly<Record<string, unknown>> {
  const fields = PRINTED_FIELDS.map((field) => [field, showField(field, service, secrecy)] as const);
  return {
    ...Object.fromEntries(fields.filter(([, value]) => value !== undefined)),
    ...(service.workload.kind !== 'process' && { ignore_labels: true }),
  };
}

/** One line per field, so that a comment behind it belongs to the whole of it. */
function setFlowStyle(doc: Document): void {
  const webhooks = doc.get('webhooks');
  if (isSeq(webhooks)) webhooks.flow = true;
  const groups = doc.get('groups');
  if (isMap(groups)) groups.flow = true;
  const services = doc.get('services');
  const top = isMap(doc.contents) ? doc.contents.items.map(({ value }) => value) : [];
  for (const value of top.filter(isSeq)) value.flow = true;
  const mappings = isMap(services) ? services.items.map(({ value }) => value) : [];
  for (const mapping of [
    doc.get('status'),
    doc.get('limits'),
    doc.get('http'),
    doc.get('docker'),
    doc.get('kubernetes'),
    ...mappings,
  ]) {
    if (!isMap(mapping)) continue;
    for (const { value } of mapping.items) {
      if (!isScalar(value)) (value as { flow?: boolean }).flow = true;
    }
  }
}

/** YAML knows escapes only in double-quoted strings. */
function quoteUnsafe(doc: Document): void {
  visit(doc, {
    Scalar(_key, node) {
      if (typeof node.value === 'string' && isUnsafe(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
}

function commentOrigins(
  doc: Document,
  { entries, settings }: { readonly entries: readonly TableEntry[]; readonly settings: ResolvedSettings },
): void {
  for (const name of SETTING_NAMES) {
    const { inner }: SettingSpec = SETTINGS[name];
    const path = name.split('.');
    const whole = doc.getIn(path, true);
    const node = isMap(whole) && inner !== undefined ? whole.get(inner.key, true) : whole;
    if (node !== undefined) commentValue(node, settings.origins[name]);
  }
  for (const { service, origins } of entries) {
    const node = doc.getIn(['services', service.name], true);
    for (const pair of (node as YAMLMap).items) {
      const field = isPair(pair) ? String((pair.key as Scalar).value) : '';
      if (field === 'ignore_labels') commentText(pair.value, 'what the labels say is in this file');
      else commentValue(pair.value, origins[field] ?? { kind: 'default' });
    }
  }
}

function commentValue(node: unknown, origin: Origin): void {
  commentText(node, describeOrigin(origin));
}

function commentText(node: unknown, text: string): void {
  (node as Node).comment = ` ${escapeText(text)}`;
}
