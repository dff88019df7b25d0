import { shortageOf } from '../../system/descriptors.ts';
import { messageOf } from '../../system/message-of.ts';

/** What of a connection's error tells where it was to go. */
interface ConnectionError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

/** Why a workload's port could not be reached, for people: `connection refused at 172.18.0.3:81`. Pure. */
export function describeFailure(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describeFailure))].join(', ');
  if (!(error instanceof Error)) return messageOf(error);
  const { code, address, port, hostname, message } = error as ConnectionError;
  if (shortageOf(error) !== undefined) return `the proxy itself has no descriptor left for it (${code})`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `no address is known for the name "${hostname}"`;
  if (address === undefined || port === undefined) return message;
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  switch (code) {
    case 'ECONNREFUSED':
      return `connection refused at ${where}`;
    case 'ECONNRESET':
      return `connection reset by ${where}`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `no way to ${where} (${code})`;
    case 'ETIMEDOUT':
      return `no answer from ${where}`;
    default:
      return message;
  }
}

/** What to look at, by the words with which failed starts are told here and where workloads end; the first that fits counts. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/out of memory/, 'it needs more memory than it may take'],
  [/exit code \d|signal SIG|killed by SIG/, 'what it printed says why: the log has it'],
  [
    /connection refused at/,
    'does it listen on its target port, not on 127.0.0.1 of a container alone, and within start_timeout?',
  ],
  [/no way to|no answer from/, 'can the proxy get there: do they share a network?'],
  [/health check/, 'does the check suit the service, and is start_timeout long enough?'],
];

/** What to look at after a start that has failed for this reason; undefined where the reason itself says it. Pure. */
export function adviseOnFailure(reason: string): string | undefined {
  return ADVICE.find(([words]) => words.test(reason))?.[1];
}
