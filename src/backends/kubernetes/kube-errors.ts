import { messageOf } from '../../system/message-of.ts';
import type { KubeStatus } from './api-shapes.ts';

/** The API server can't be asked: no connection, or it broke before the answer was complete. */
export class KubeUnreachable extends Error {
  readonly code = 'KUBE_UNREACHABLE';
}

/** The API server was away, and answers again, but is not up yet. */
export class KubeStarting extends KubeUnreachable {}

/** The API server answered, and refused; the message is its own, which names verb, resource and namespace for a 403. */
export class KubeRefusal extends Error {
  readonly code = 'KUBE_REFUSED';
  /** HTTP status of the answer. */
  readonly status: number;
  /** One word of the API server's: `NotFound`, `Conflict`, `Forbidden`, `Expired` …; empty where it gives none. */
  readonly reason: string;

  constructor(message: string, options: { readonly status: number; readonly reason?: string }) {
    super(message);
    this.status = options.status;
    this.reason = options.reason ?? '';
  }
}

/** Whether the same request may well succeed a little later: the server is overloaded, or not quite up. */
export function isPassing(error: unknown): boolean {
  if (error instanceof KubeUnreachable) return true;
  return error instanceof KubeRefusal && (error.status === 429 || error.status >= 500);
}

/** The message of whatever was thrown; connection errors of several addresses have an empty one of their own. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeError).join(', ');
  return messageOf(error);
}

/** The error that a watch sends as its last event. */
export function refusalOf({ code = 500, reason = '', message }: KubeStatus): KubeRefusal {
  return new KubeRefusal(message ?? `the watch failed with status ${code}`, { status: code, reason });
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(describeError(thrown));
}
