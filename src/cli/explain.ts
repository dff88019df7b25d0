import { EXIT_OK } from '../system/exit-codes.ts';
import type { EffectiveConfig, ServiceDetailAnswer } from '../status/api/answers.ts';
import { renderExplanation } from './render-explanation.ts';
import type { CommandParts } from './running-proxy.ts';
import { printLines, screenOf, timesOf } from './status.ts';

/** Tells all that a running proxy knows of one service; returns the exit status. */
export async function explain(service: string, { proxy, io }: CommandParts): Promise<number> {
  const [detail, config] = await Promise.all([
    proxy.getService(service, '&memory=true') as Promise<ServiceDetailAnswer>,
    proxy.get(`/api/config?service=${encodeURIComponent(service)}`) as Promise<EffectiveConfig>,
  ]);
  const values = config.services[service] ?? {};
  printLines(renderExplanation(detail, { values, times: timesOf(io), screen: screenOf(io) }), io);
  return EXIT_OK;
}
