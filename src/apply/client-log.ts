import type { LogLimiter } from '../system/log-limiter.ts';
import type { Logger } from '../system/logger.ts';
import { messageOf } from '../system/message-of.ts';

interface LogParts {
  readonly logger: Logger;
  /** Bounds the lines, per service. */
  readonly limiter: LogLimiter;
}

/** A client that the access list refused. */
export function logRefused(
  { client, service }: { readonly client: string; readonly service: string },
  { logger, limiter }: LogParts,
): void {
  const suppressed = limiter.pass(`refused ${service}`);
  if (suppressed === undefined) return;
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  const fields = { event: 'refused', service, client, refused: true };
  logger.warn(fields, `${service}: ${client} (blocked)${more}`);
}

/** A flow that was let in, but could not be given an upstream. */
export function logUnserved(
  { client, service, error }: { readonly client: string; readonly service: string; readonly error: unknown },
  { logger, limiter }: LogParts,
): void {
  const suppressed = limiter.pass(`unserved ${service}`);
  if (suppressed === undefined) return;
  const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
  const reason = messageOf(error);
  logger.warn(
    { event: 'unserved', service, client },
    `${service}: flow of ${client} ended: ${reason}${more}`,
  );
}
