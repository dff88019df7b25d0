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

/** The engine did not answer in time. */
export function silence(timeoutMs: number): EngineUnreachable {
  return new EngineUnreachable(`no answer within ${timeoutMs / 1000} s`);
}
