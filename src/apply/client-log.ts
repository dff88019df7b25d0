import type { Protocol } from '../model/service.ts';
import type { LogLimiter } from '../system/log/log-limiter.ts';
import type { Happenings } from '../system/happenings.ts';
import type { Logger } from '../system/log/logger.ts';
import { messageOf } from '../system/message-of.ts';

interface LogParts {
  readonly logger: Logger;
  /** Bounds the lines, per service. */
  readonly limiter: LogLimiter;
  /** Is told of each line; absent = nobody wants to know. */
  readonly happenings?: Happenings | undefined;
}

/** Logs a client that the access list refused. */
export function logRefused(
  { client, service }: { readonly client: string; readonly service: string },
  { logger, limiter, happenings }: LogParts,
): void {
  const suppressed = limiter.pass(`refused ${service}`);
  if (suppressed === undefined) return;
  happenings?.tell({ kind: 'refusal', service, client, reason: 'the access list', more: suppressed });
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  const fields = { event: 'refused', service, client, refused: true };
  logger.warn(fields, `${service}: the access list refuses ${client} (blocked)${more}`);
}

/** Logs a connection or flow that was let in but could not be connected to an upstream. */
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
    readonly protocol: Protocol;
  },
  { logger, limiter, happenings }: LogParts,
): void {
  const suppressed = limiter.pass(`unserved ${protocol} ${kindOf(error)} ${service}`);
  if (suppressed === undefined) return;
  happenings?.tell({ kind: 'refusal', service, client, reason: messageOf(error), more: suppressed });
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  const what = protocol === 'tcp' ? `connection of ${client} closed` : `flow of ${client} ended`;
  logger.warn({ event: 'unserved', service, client }, `${service}: ${what}: ${messageOf(error)}${more}`);
}

/** The kind of error: lines are limited for each kind. There are few codes, while the messages of errors may be all different. */
function kindOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
