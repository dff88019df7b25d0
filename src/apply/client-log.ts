import type { LogLimiter } from '../system/log/log-limiter.ts';
import type { Happenings } from '../system/happenings.ts';
import type { Logger } from '../system/log/logger.ts';
import { messageOf } from '../system/message-of.ts';

export interface ClientLogParts {
  readonly logger: Logger;
  /** Bounds the lines, per service. */
  readonly limiter: LogLimiter;
  /** Is told of each line; absent = nobody wants to know. */
  readonly happenings?: Happenings | undefined;
}

/** Logs a client that the access list refused. */
export function logRefused(
  { client, service }: { readonly client: string; readonly service: string },
  { logger, limiter, happenings }: ClientLogParts,
): void {
  const suppressed = limiter.pass(`refused ${service}`);
  if (suppressed === undefined) return;
  happenings?.tell({ kind: 'refusal', service, client, reason: 'the access list', more: suppressed });
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  const fields = { event: 'refused', service, client, refused: true };
  logger.warn(fields, `${service}: the access list refuses ${client} (blocked)${more}`);
}

const ENDS = {
  tcp: (client: string) => `connection of ${client} closed`,
  udp: (client: string) => `flow of ${client} ended`,
  http: (client: string) => `request of ${client} not served`,
} as const;

/** Logs a connection, flow or request that was let in but could not be served by an upstream. */
export function logUnserved(
  {
    client,
    service,
    error,
    protocol,
  }: {
    readonly client: string;
    readonly service: string;
    readonly error: unknown;
    readonly protocol: keyof typeof ENDS;
  },
  { logger, limiter, happenings }: ClientLogParts,
): void {
  const suppressed = limiter.pass(`unserved ${protocol} ${kindOf(error)} ${service}`);
  if (suppressed === undefined) return;
  happenings?.tell({ kind: 'refusal', service, client, reason: messageOf(error), more: suppressed });
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  logger.warn(
    { event: 'unserved', service, client },
    `${service}: ${ENDS[protocol](client)}: ${messageOf(error)}${more}`,
  );
}

/** Logs a connection to a front door that was closed before anybody knew for which service it was. */
export function logTurnedAway(
  where: string,
  { client, error }: { readonly client: string; readonly error: unknown },
  { logger, limiter }: Pick<ClientLogParts, 'logger' | 'limiter'>,
): void {
  const suppressed = limiter.pass(`turned away ${kindOf(error)} ${where}`);
  if (suppressed === undefined) return;
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  const message = `front door ${where}: ${ENDS.tcp(client)}: ${messageOf(error)}${more}`;
  logger.warn({ event: 'unserved', client }, message);
}

/** The kind of error: lines are limited for each kind. There are few codes, while the messages of errors may be all different. */
function kindOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Logs a client that could not be accepted on a port. */
export function logAcceptError(
  where: string,
  { error, logger }: { readonly error: Error; readonly logger: Logger },
): void {
  logger.warn({ event: 'accept-failed' }, `could not accept a client on ${where}: ${error.message}`);
}
