import { EXIT_OK } from '../system/exit-codes.ts';
import type { LeaseAnswer, ServiceAnswer } from '../status/api/answers.ts';
import type { CommandParts, ProxyRefusal } from './running-proxy.ts';
import { describeLease, describeNext, describeState, describeWhy } from './render/service-words.ts';
import { timesOf } from './status.ts';

/** What is to be done to a service. */
export type Steering =
  | { readonly kind: 'wake' | 'release' }
  /** `force`: its clients are cut first. */
  | { readonly kind: 'sleep'; readonly force: boolean }
  /** `time`: as the file writes durations; undefined = an hour. */
  | { readonly kind: 'hold'; readonly time: string | undefined };

/**
 * Asks a running proxy to do something to a service, and tells what that does then; returns the exit status.
 * @throws ProxyRefusal where the proxy refuses.
 */
export async function steer(
  { service, steering }: { readonly service: string; readonly steering: Steering },
  { proxy, io }: CommandParts,
): Promise<number> {
  const times = timesOf(io);
  const before =
    steering.kind === 'release' ? ((await proxy.getService(service)) as ServiceAnswer) : undefined;
  const asked = proxy.postService(service, steering.kind, queryOf(steering));
  const answer = (await asked.catch((error: unknown) => {
    const { code, members, message } = error as ProxyRefusal;
    if (code !== 'proxy-refusal') throw error;
    const leases = (members['leases'] ?? []) as readonly LeaseAnswer[];
    for (const lease of leases) io.stderr(`${service} is kept awake by ${describeLease(lease, times)}`);
    // The API's word for it is no option here.
    throw Object.assign(error as Error, { message: message.replace('force=true cuts', '--force cuts') });
  })) as ServiceAnswer;
  const words = [describeWhy(answer, times), describeNext(answer, times)].filter((text) => text !== '');
  const isNoHold = before !== undefined && !before.why.kept_by.includes('hold');
  io.stdout(
    `${isNoHold ? `${answer.name} was not held; it` : answer.name}${describeSharers(answer)} is ${describeState(answer).text}${words.length > 0 ? `: ${words.join('; ')}` : ''}`,
  );
  return EXIT_OK;
}

/** Whatever was done to the one was done to the others. */
function describeSharers({ workload, shares_with: shared = [] }: ServiceAnswer): string {
  return shared.length === 0 ? '' : `, which shares ${workload} with ${shared.join(', ')},`;
}

function queryOf(steering: Steering): string {
  if (steering.kind === 'sleep') return steering.force ? '&force=true' : '';
  const time = steering.kind === 'hold' ? steering.time : undefined;
  return time === undefined ? '' : `&for=${encodeURIComponent(time)}`;
}
