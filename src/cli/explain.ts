import { isDeepStrictEqual } from 'node:util';
import { FIELD_NAMES, type FieldName, fieldSpec } from '../config/fields.ts';
import { hideSecrets } from '../config/secrets.ts';
import { EXIT_OK } from '../system/exit-codes.ts';
import type {
  AboutAnswer,
  EffectiveConfig,
  EffectiveValue,
  ServiceDetailAnswer,
} from '../status/api/answers.ts';
import { renderExplanation } from './render/render-explanation.ts';
import type { CommandParts } from './running-proxy.ts';
import { printLines, screenOf, timesOf, warnOfToken } from './status.ts';

export interface ExplainOptions {
  readonly service: string;
  /** Whether values that are secrets are shown, as far as the proxy tells them. */
  readonly showSecrets: boolean;
}

/** Tells all that a running proxy knows of one service; returns the exit status. */
export async function explain(
  { service, showSecrets }: ExplainOptions,
  { proxy, io }: CommandParts,
): Promise<number> {
  const [about, detail, config] = await Promise.all([
    proxy.get('/api') as Promise<AboutAnswer>,
    proxy.getService(service, '&memory=true') as Promise<ServiceDetailAnswer>,
    proxy.get(`/api/config?service=${encodeURIComponent(service)}`) as Promise<EffectiveConfig>,
  ]);
  warnOfToken(about, { proxy, io });
  const told = config.services[service] ?? {};
  const values = showSecrets ? told : hideValues(told);
  const isShown = showSecrets || isDeepStrictEqual(values, told);
  const parts = { values, areSecretsShown: isShown, hasToken: about.has_token !== false };
  printLines(renderExplanation(detail, { ...parts, times: timesOf(io), screen: screenOf(io) }), io);
  return EXIT_OK;
}

/** Whoever has the token on this machine may look at a service while others look at the screen. */
function hideValues(
  values: Readonly<Record<string, EffectiveValue>>,
): Readonly<Record<string, EffectiveValue>> {
  const isField = (name: string): name is FieldName => (FIELD_NAMES as readonly string[]).includes(name);
  return Object.fromEntries(
    Object.entries(values).map(([field, { value, origin }]) => [
      field,
      { value: isField(field) ? hideSecrets(value, fieldSpec(field).secret) : value, origin },
    ]),
  );
}
