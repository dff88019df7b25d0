import { messageOf } from '../../system/message-of.ts';

/** The engine can't be asked: no connection, or it broke before the answer was complete. */
export class EngineUnreachable extends Error {
  readonly code = 'ENGINE_UNREACHABLE';
}

/** The engine answered, and refused; the message is the engine's own. */
export class EngineRefusal extends Error {
  readonly code = 'ENGINE_REFUSED';
  /** HTTP status of the answer. */
  readonly status: number;

  constructor(message: string, options: { readonly status: number }) {
    super(message);
    this.status = options.status;
  }
}

/** The message of whatever was thrown; connection errors of several addresses have an empty one of their own. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '')
    return error.errors.map(describeError).join(', ');
  return messageOf(error);
}
